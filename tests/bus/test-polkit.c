/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gate, with a polkit that says yes and no, is silent, lies and dies. All callers here have one uid, so each owns
 * everything; what is asked of others is tested in the host ring. */
#include "../soak.h"
#include "rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WEB ROOT "/vm/web"
#define ACCESS_DENIED SD_BUS_ERROR_ACCESS_DENIED

static Pending *send_create(Rig *r, sd_bus *bus, const char *name) {
        return rig_send(r, bus, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 1, "Image", "s", REFERENCE);
}

static void create(Rig *r, const char *name) {
        g_autoptr(Pending) p = send_create(r, r->caller, name);

        until(r, p->reply);
        assert_good(p->reply);
}

static void assert_create_refused(Rig *r, const char *error) {
        g_autoptr(Pending) p = send_create(r, r->caller, "web");

        until(r, p->reply);
        assert_error(p->reply, error);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
}

static void assert_question(const Question *q, const char *action, const char *verb, const char *vm) {
        assert_string_equal(q->action, action);
        assert_string_equal(g_hash_table_lookup(q->details, "verb"), verb);
        assert_string_equal(g_hash_table_lookup(q->details, "vm"), vm);
}

/* The subject is the sender's bus name and nothing else: no pid, no race. */
static void test_question(void **state) {
        Rig *r = *state;
        g_autofree char *subject = NULL, *owner = g_strdup_printf("%u", r->uid);
        const char *unique;
        Question *q;

        assert_true(sd_bus_get_unique_name(r->caller, &unique) >= 0);
        subject = g_strdup_printf("system-bus-name %s", unique);
        create(r, "web");
        assert_int_equal(r->questions->len, 1);
        q = fake_polkit_last(r);
        assert_question(q, NAME ".run-vm", "CreateVM", "web");
        assert_string_equal(q->subject, subject);
        assert_string_equal(g_hash_table_lookup(q->details, "owner"), owner);
        assert_string_equal(g_hash_table_lookup(q->details, "image"), REFERENCE);
        assert_false(q->interactive);
        assert_true(*q->cancellation != 0);
}

/* Each method with what it asks; what reads one's own asks nothing. */
static void test_actions(void **state) {
        static const struct {
                const char *member, *types, *action;
        } verbs[] = {
                {"Start", "a{sv}", NAME ".run-vm"}, {"Pause", NULL, NAME ".run-vm"}, {"Resume", NULL, NAME ".run-vm"},
                {"Remove", "a{sv}", NAME ".run-vm"}, {"GetSpec", NULL, NULL}, {"DescribeCommand", NULL, NULL},
        };
        Rig *r = *state;

        create(r, "web");
        r->answer = POLKIT_NO;
        for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
                guint before = r->questions->len;
                g_autoptr(sd_bus_message) reply = verbs[i].types ? rig_call(r, WEB, VM, verbs[i].member, "a{sv}", 0)
                                                                  : rig_call(r, WEB, VM, verbs[i].member, NULL);

                if (!verbs[i].action) {
                        assert_good(reply);
                        assert_int_equal(r->questions->len, before);
                        continue;
                }
                assert_error(reply, ACCESS_DENIED);
                assert_int_equal(r->questions->len, before + 1);
                assert_question(fake_polkit_last(r), verbs[i].action, verbs[i].member, "web");
        }
        assert_property(r, WEB, VM, "State", "created");
}

/* A spec's further actions are asked after the row's own, one after the other, all before anything changes. */
static void test_several(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;

        r->answer = POLKIT_HANG;
        p = rig_send(r, r->caller, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Ports", "as", 1, "80:80");
        until(r, r->questions->len == 1);
        assert_question(r->questions->pdata[0], NAME ".run-vm", "RunVM", "web");
        rig_settle(r);
        assert_int_equal(r->questions->len, 1);
        fake_polkit_answer(r, r->questions->pdata[0], true);
        until(r, r->questions->len == 2);
        assert_question(r->questions->pdata[1], NAME ".publish-port", "RunVM", "web");
        assert_string_equal(g_hash_table_lookup(fake_polkit_last(r)->details, "ports"), "127.0.0.1:80:80/tcp");
        assert_string_equal(g_hash_table_lookup(fake_polkit_last(r)->details, "network"), "user");
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        fake_polkit_answer(r, r->questions->pdata[1], false);
        until(r, p->reply);
        assert_error(p->reply, ACCESS_DENIED);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        assert_false(rig_has(r, "state/vms/web"));
}

static void test_import_actions(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");
        g_autoptr(sd_bus_message) file = NULL, descriptor = NULL;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        r->answer = POLKIT_YES;
        file = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:1", path, 0);
        assert_good(file);
        assert_int_equal(r->questions->len, 2);
        assert_string_equal(((Question *) r->questions->pdata[0])->action, NAME ".import-image");
        assert_string_equal(((Question *) r->questions->pdata[1])->action, NAME ".use-host-path");
        assert_string_equal(g_hash_table_lookup(fake_polkit_last(r)->details, "path"), path);
        assert_string_equal(g_hash_table_lookup(fake_polkit_last(r)->details, "image"), "tool:1");
        r->answer = POLKIT_NO;
        descriptor = rig_call(r, ROOT, MANAGER, "ImportImage", "sha{sv}", "tool:2", fd, 0);
        assert_error(descriptor, ACCESS_DENIED);
        assert_string_equal(fake_polkit_last(r)->action, NAME ".import-image");
        assert_string_equal(g_hash_table_lookup(fake_polkit_last(r)->details, "image"), "tool:2");
        (void) close(fd);
}

static void test_no(void **state) {
        Rig *r = *state;

        r->answer = POLKIT_NO;
        assert_create_refused(r, ACCESS_DENIED);
}

static void test_challenge(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;
        sd_bus_message *m;

        r->answer = POLKIT_CHALLENGE;
        assert_create_refused(r, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        assert_false(fake_polkit_last(r)->interactive);

        /* The caller lets a person be asked, who says no. */
        m = rig_message(r, r->caller, ROOT, MANAGER, "CreateVM");
        assert_true(sd_bus_message_append(m, "sa{sv}", "web", 1, "Image", "s", REFERENCE) >= 0);
        assert_true(sd_bus_message_set_allow_interactive_authorization(m, true) >= 0);
        p = rig_send_message(r, r->caller, m);
        until(r, p->reply);
        assert_error(p->reply, ACCESS_DENIED);
        assert_true(fake_polkit_last(r)->interactive);
}

static void test_lie(void **state) {
        Rig *r = *state;

        r->answer = POLKIT_LIE;
        assert_create_refused(r, ACCESS_DENIED);
        r->answer = POLKIT_YES;
        create(r, "web");
}

static void test_crash(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;

        r->answer = POLKIT_HANG;
        p = send_create(r, r->caller, "web");
        until(r, fake_polkit_open(r) == 1);
        fake_polkit_crash(r);
        until(r, p->reply);
        assert_error(p->reply, ACCESS_DENIED);
        assert_create_refused(r, ACCESS_DENIED); /* while there is none */
        r->answer = POLKIT_YES;
        fake_polkit_start(r);
        create(r, "web");
}

/* Not even at the daemon's start. */
static void test_never_there(void **state) {
        Rig *r = *state;

        fake_polkit_crash(r);
        rig_start_daemon(r);
        assert_create_refused(r, ACCESS_DENIED);
        fake_polkit_start(r);
        create(r, "web");
}

/* While polkit is silent for one, all others are served, also the same caller. */
static void test_hang(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) stuck = NULL;

        r->answer = POLKIT_HANG;
        stuck = send_create(r, r->caller, "web");
        until(r, fake_polkit_open(r) == 1);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        r->answer = POLKIT_YES;
        create(r, "db");
        assert_null(stuck->reply);
        fake_polkit_answer(r, r->questions->pdata[0], true); /* late, and good */
        until(r, stuck->reply);
        assert_good(stuck->reply);
        assert_property(r, ROOT, MANAGER, "VMCount", "2");
}

/* The limit in time is half a minute: only in the long run. */
static void test_hang_limit(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;
        uint64_t deadline = rig_deadline(60 * G_USEC_PER_SEC);

        if (!is_soak())
                skip();
        r->answer = POLKIT_HANG;
        p = send_create(r, r->caller, "web");
        while (!p->reply && rig_turn(r, deadline))
                ;
        assert_non_null(p->reply);
        assert_error(p->reply, ACCESS_DENIED);
        assert_true(fake_polkit_last(r)->canceled);
        r->answer = POLKIT_YES;
        create(r, "web");
}

/* The same name, asked for twice at once: the second to be granted is told that it exists. */
static void test_twice_at_once(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) first = NULL, second = NULL;

        r->answer = POLKIT_HANG;
        first = send_create(r, r->caller, "web");
        second = rig_send(r, r->caller, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "VCPUs", "u", 1);
        until(r, fake_polkit_open(r) == 2);
        fake_polkit_answer(r, r->questions->pdata[1], true);
        until(r, second->reply);
        assert_good(second->reply);
        fake_polkit_answer(r, r->questions->pdata[0], true);
        until(r, first->reply);
        assert_error(first->reply, ERROR("VMExists"));
}

/* ---- Bounds ---- */

#define QUESTIONS_MAX 8

/* Those of two connections come in any order. */
static Question *question_about(Rig *r, const char *vm) {
        for (guint i = 0; i < r->questions->len; i++) {
                Question *q = r->questions->pdata[i];

                if (strcmp(g_hash_table_lookup(q->details, "vm"), vm) == 0)
                        return q;
        }
        fail_msg("polkit was not asked about %s", vm);
        return NULL;
}

static void test_quota(void **state) {
        Rig *r = *state;
        sd_bus *others[2] = {rig_connect(r), rig_connect(r)};
        Pending *pending[QUESTIONS_MAX];
        g_autoptr(Pending) ninth = NULL, after = NULL;

        r->answer = POLKIT_HANG;
        for (unsigned i = 0; i < QUESTIONS_MAX; i++) {
                g_autofree char *name = g_strdup_printf("vm%u", i);

                pending[i] = send_create(r, others[i % 2], name); /* of one user, whatever the connection */
        }
        until(r, fake_polkit_open(r) == QUESTIONS_MAX);
        ninth = send_create(r, r->caller, "vm9");
        until(r, ninth->reply);
        assert_error(ninth->reply, ERROR("QuotaExceeded"));
        assert_non_null(strstr(sd_bus_message_get_error(ninth->reply)->message, "8"));
        assert_int_equal(fake_polkit_open(r), QUESTIONS_MAX);
        rig_assert_alive(r);
        fake_polkit_answer(r, question_about(r, "vm0"), false);
        until(r, pending[0]->reply);
        after = send_create(r, r->caller, "vm9");
        until(r, fake_polkit_open(r) == QUESTIONS_MAX);
        assert_null(after->reply);
        for (unsigned i = 0; i < QUESTIONS_MAX; i++)
                pending_free(pending[i]);
        for (unsigned i = 0; i < 2; i++)
                sd_bus_flush_close_unref(others[i]);
}

/* ---- Callers that leave ---- */

static void test_leaver_cancels(void **state) {
        Rig *r = *state;
        sd_bus *leaver = rig_connect(r);
        g_autoptr(Pending) p = NULL;

        r->answer = POLKIT_HANG;
        p = send_create(r, leaver, "web");
        until(r, fake_polkit_open(r) == 1);
        sd_bus_flush_close_unref(leaver);
        until(r, fake_polkit_last(r)->canceled); /* so that a dialogue goes from the screen */
        rig_settle(r);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        assert_int_equal(fake_polkit_open(r), 0);
}

/* Who left has no place in the quota any more. */
static void test_leavers_free_their_place(void **state) {
        Rig *r = *state;

        r->answer = POLKIT_HANG;
        for (unsigned i = 0; i < 3 * QUESTIONS_MAX; i++) {
                sd_bus *leaver = rig_connect(r);
                g_autoptr(Pending) p = send_create(r, leaver, "web");

                until(r, fake_polkit_open(r) == 1);
                assert_null(p->reply);
                sd_bus_flush_close_unref(leaver);
                until(r, fake_polkit_open(r) == 0);
        }
        r->answer = POLKIT_YES;
        create(r, "web");
}

/* ---- The object changes under the question ---- */

static void remove_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);

        assert_good(reply);
        until(r, trace_has(r, "VMRemoved web"));
        trace_clear(r);
}

static void test_removed_under_question(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) start = NULL;
        Question *q;

        create(r, "web");
        r->answer = POLKIT_HANG;
        start = rig_send(r, r->caller, WEB, VM, "Start", "a{sv}", 0);
        until(r, fake_polkit_open(r) == 1);
        q = fake_polkit_last(r);
        r->answer = POLKIT_YES;
        remove_web(r);
        fake_polkit_answer(r, q, true);
        until(r, start->reply);
        assert_error(start->reply, ERROR("NoSuchVM"));
}

static void test_recreated_under_question(void **state) {
        static const char *const verbs[] = {"Start", "Remove"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
                g_autoptr(Pending) p = NULL;
                Question *q;

                create(r, "web");
                r->answer = POLKIT_HANG;
                p = rig_send(r, r->caller, WEB, VM, verbs[i], "a{sv}", 0);
                until(r, fake_polkit_open(r) == 1);
                q = fake_polkit_last(r);
                r->answer = POLKIT_YES;
                remove_web(r);
                create(r, "web");
                fake_polkit_answer(r, q, true);
                until(r, p->reply);
                assert_error(p->reply, ERROR("Stale"));
                assert_property(r, WEB, VM, "State", "created");
                remove_web(r);
        }
}

static void test_image_removed_under_question(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf(ROOT "/image/%u/" HEX, r->uid);
        g_autoptr(Pending) run = NULL, twice = NULL;
        g_autoptr(sd_bus_message) removed = NULL;

        r->answer = POLKIT_HANG;
        run = rig_send(r, r->caller, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        twice = rig_send(r, r->caller, image, IMAGE, "Remove", "a{sv}", 0);
        until(r, fake_polkit_open(r) == 2);
        r->answer = POLKIT_YES;
        removed = rig_call(r, image, IMAGE, "Remove", "a{sv}", 0);
        assert_good(removed);
        fake_polkit_answer(r, r->questions->pdata[0], true);
        until(r, run->reply);
        assert_error(run->reply, ERROR("NoSuchImage"));
        fake_polkit_answer(r, r->questions->pdata[1], true);
        until(r, twice->reply);
        assert_error(twice->reply, ERROR("NoSuchImage"));
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        assert_string_equal(g_hash_table_lookup(((Question *) r->questions->pdata[1])->details, "image"), REFERENCE);
}

/* Text that polkit shows to a person is plain, whoever chose it. */
static void test_markup(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/<b>\033[31m\n$(vm)&amp;");
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:1", path, 0);
        GHashTableIter iter;
        gpointer key, value;

        for (guint i = 0; i < r->questions->len; i++) {
                g_hash_table_iter_init(&iter, ((Question *) r->questions->pdata[i])->details);
                while (g_hash_table_iter_next(&iter, &key, &value))
                        for (const char *p = value; *p; p++)
                                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                                        fail_msg("%s holds a control character: %s", (char *) key, (char *) value);
        }
        assert_true(r->questions->len > 0 || *reply_error(reply));
}

/* SIGTERM while questions are open. */
static void test_end_under_question(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;

        r->answer = POLKIT_HANG;
        p = send_create(r, r->caller, "web");
        until(r, fake_polkit_open(r) == 1);
        rig_stop_daemon(r, SIGTERM);
        until(r, p->reply);
        assert_true(*reply_error(p->reply) != 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_question, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_actions, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_several, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_actions, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_no, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_challenge, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_lie, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_crash, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_never_there, rig_setup_without_daemon, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hang, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hang_limit, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_twice_at_once, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_quota, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_leaver_cancels, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_leavers_free_their_place, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_removed_under_question, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_recreated_under_question, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_image_removed_under_question, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_markup, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_end_under_question, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
