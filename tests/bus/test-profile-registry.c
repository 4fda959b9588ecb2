/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles from and to registries, with helpers that play their part or do not. */
#include "rig.h"

#include <unistd.h>

#include "shared/artifact-type.h"
#include "shared/profile-path.h"
#include "shared/wire.h"

#define FETCH "mcp-fetch@1.service"
#define WORKER "mcp-image@1.service"
#define PLACE "registry.example.com/qemu"
#define HERE ROOT "/profile/emulate_2dx86"
#define OBJECT "state/profiles/cas/objects/" HEX3

static sd_bus_message *call_pull(Rig *r, const char *reference, const char *profile) {
        return rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", reference, 1, "Profile", "s", profile);
}

static void pull(Rig *r, const char *reference) {
        g_autoptr(sd_bus_message) reply = call_pull(r, reference, "emulate-x86");

        assert_good(reply);
}

static sd_bus_message *push(Rig *r, const char *digest, const char *destination) {
        return rig_call(
                r, ROOT, MANAGER, "PushImage", "ssa{sv}", digest, destination, 1, "Profile", "s", "emulate-x86");
}

/* ---- Helpers that do what they are told ---- */

static json_t *summary(void) {
        return json_pack("{s:s, s:s, s:s, s:I, s:s, s:i, s:i, s:i, s:i, s:b, s:[s], s:s}", "type", "done", "digest",
                HEX, "profile", "emulate-x86", "created_at", (json_int_t) 1000000, "qemu_version", "9.1.0", "bytes", 7,
                "binaries", 1, "libraries", 0, "firmware", 0, "modules", 0, "programs", "qemu-system-x86_64", "loader",
                "");
}

static void play_unpack(FakeHelper *h, json_t *message) {
        if (g_strcmp0(json_string_value(json_object_get(message, "op")), "profile-unpack") == 0)
                fake_say(h, summary());
        else if (strcmp(wire_type(message), "launch") == 0)
                play_worker(h, message);
}

static int setup(void **state) {
        int r = rig_setup(state);
        Rig *rig = *state;

        rig->play[KIND_FETCH] = play_artifact;
        rig->play[KIND_WORKER] = play_unpack;
        rig->artifact_type = ARTIFACT_PROFILE;
        rig->artifact_manifest = "sha256:" HEX2;
        return r;
}

/* ---- Pull ---- */

static void test_pull(void **state) {
        Rig *r = *state;
        json_t *launch;

        pull(r, PLACE ":9");
        assert_int_equal(r->questions->len, 2);
        assert_string_equal(((Question *) r->questions->pdata[0])->action, NAME ".pull-image");
        assert_string_equal(((Question *) r->questions->pdata[1])->action, NAME ".manage-profiles");
        assert_string_equal(
                g_hash_table_lookup(((Question *) r->questions->pdata[1])->details, "profile"), "emulate-x86");
        assert_job_tidy(r, 1, "done", "", "");
        launch = fake_find(r, WORKER)->launch;
        assert_string_equal(json_string_value(json_object_get(launch, "digest")), "sha256:" HEX2);
        assert_string_equal(json_string_value(json_object_get(launch, "profile")), "emulate-x86");
        assert_property(r, ROOT "/job/1", JOB, "Kind", "pull");
        assert_property(r, ROOT "/job/1", JOB, "Subject", HERE);
        assert_property(r, HERE, PROFILE, "Digest", "sha256:" HEX);
        assert_property(r, HERE, PROFILE, "Source", PLACE ":9@sha256:" HEX2);
        assert_true(rig_has(r, "state/profiles/cas/refs/emulate-x86-" HEX ".json"));
        rig_stop_daemon(r, SIGTERM);
        rig_start_daemon(r);
        assert_property(r, HERE, PROFILE, "Source", PLACE ":9@sha256:" HEX2);
        pull(r, PLACE "@sha256:" HEX2);
        assert_job_tidy(r, 1, "done", "", "");
        assert_property(r, HERE, PROFILE, "Source", PLACE "@sha256:" HEX2);
}

/* Who may pull may not yet bring in what everybody's VMs run. */
static void test_gate(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = rig_send(
                r, r->caller, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":9", 1, "Profile", "s", "emulate-x86");

        r->answer = POLKIT_HANG;
        until(r, r->questions->len == 1);
        fake_polkit_answer(r, r->questions->pdata[0], true);
        until(r, r->questions->len == 2);
        fake_polkit_answer(r, r->questions->pdata[1], false);
        until(r, p->reply);
        assert_string_equal(reply_error(p->reply), SD_BUS_ERROR_ACCESS_DENIED);
        rig_settle(r);
        assert_null(fake_find(r, FETCH));
}

static void test_words(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) profile = call_pull(r, PLACE ":9", "kvm"),
                                  place = call_pull(r, "qemu:9", "kvm-linux"),
                                  both = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":9", 2, "Profile",
                                          "s", "kvm-linux", "Architecture", "s", "x86_64"),
                                  key = rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", REFERENCE, PLACE, 1,
                                          "Architecture", "s", "x86_64"),
                                  nothing = push(r, "", PLACE);

        assert_error(profile, ERROR("NoSuchProfile"));
        assert_error(place, ERROR("InvalidName"));
        assert_error(both, ERROR("InvalidSpec"));
        assert_error(key, ERROR("InvalidSpec"));
        assert_error(nothing, ERROR("NoSuchProfile"));
        assert_null(fake_find(r, FETCH));
}

static void test_other_things(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        r->artifact_type = NULL;
        pull(r, PLACE ":9");
        assert_job_tidy(r, 1, "failed", ERROR("UnsupportedImage"), "is an image, not a profile");
        r->artifact_type = "x/y\x1b[31m";
        pull(r, PLACE ":9");
        assert_job_tidy(r, 2, "failed", ERROR("UnsupportedImage"), "of the type");
        r->artifact_type = ARTIFACT_PROFILE_CONFIG;
        r->artifact_manifest = "sha256:" HEX3;
        pull(r, PLACE ":9");
        assert_job_tidy(r, 3, "failed", ERROR("UnsupportedImage"), "index");
        pull(r, PLACE "@sha256:" HEX);
        assert_job_tidy(r, 4, "failed", ERROR("DigestMismatch"), HEX);
        reply = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":9", 0);
        assert_good(reply);
        assert_job_tidy(r, 5, "failed", ERROR("UnsupportedImage"), "option Profile");
        assert_null(fake_find(r, WORKER));
        assert_property(r, HERE, PROFILE, "Digest", "");
}

/* A helper that says it is done before it said of what. */
static void play_hasty(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:s}", "type", "done", "digest", "sha256:" HEX2, "manifest",
                                    "sha256:" HEX2));
}

static void play_liar(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:s}", "type", "done", "digest", "../../x"));
}

static void test_hostile_helpers(void **state) {
        Rig *r = *state;

        r->play[KIND_FETCH] = play_hasty;
        pull(r, PLACE ":9");
        assert_job_tidy(r, 1, "failed", ERROR("RegistryFailed"), "no digest");
        assert_null(fake_find(r, WORKER));
        r->play[KIND_FETCH] = play_artifact;
        r->play[KIND_WORKER] = play_liar;
        pull(r, PLACE ":9");
        assert_job_tidy(r, 2, "failed", ERROR("BuildFailed"), "");
        assert_property(r, HERE, PROFILE, "Digest", "");
        rig_assert_alive(r);
}

static void cancel(Rig *r, unsigned job) {
        g_autofree char *path = g_strdup_printf(ROOT "/job/%u", job);
        g_autoptr(sd_bus_message) reply = rig_call(r, path, JOB, "Cancel", NULL);

        assert_good(reply);
        assert_job_tidy(r, job, "canceled", ERROR("Canceled"), "");
}

static void play_endless(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "go") != 0)
                play_artifact(h, message);
}

static void test_cancel(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) clean = NULL, reply = NULL;

        r->play[KIND_FETCH] = play_endless;
        pull(r, PLACE ":9");
        until(r, fake_heard(fake_find(r, FETCH), "go"));
        until(r, rig_count_temporaries(r) == 0); /* the archive has no name */
        clean = rig_call(r, ROOT, MANAGER, "CleanProfiles", "a{sv}", 0);
        assert_error(clean, ERROR("Busy"));
        cancel(r, 1);
        assert_int_equal(unit_runs(r, FETCH), 0);
        r->play[KIND_FETCH] = play_artifact;
        r->play[KIND_WORKER] = play_nothing;
        pull(r, PLACE ":9");
        until(r, fake_heard(fake_find(r, WORKER), "launch"));
        cancel(r, 2);
        assert_int_equal(unit_runs(r, WORKER), 0);
        r->play[KIND_FETCH] = play_nothing;
        pull(r, PLACE ":9");
        until(r, fake_heard(fake_find(r, "mcp-fetch@3.service"), "launch"));
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        until(r, rig_count_temporaries(r) == 0);
        r->play[KIND_WORKER] = play_worker;
        reply = rig_call(r, ROOT, MANAGER, "CleanProfiles", "a{sv}", 0);
        assert_good(reply);
}

/* ---- Push ---- */

static const char *pack_says;

static void play_pack(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say_text(h, pack_says, strlen(pack_says));
        else if (strcmp(wire_type(message), "objects") == 0)
                fake_say(h, json_pack("{s:s, s:s}", "type", "done", "digest", "sha256:" HEX2));
}

#define ASKS(hash) "{\"type\":\"objects\",\"list\":[{\"path\":\"bin/x\",\"hash\":\"" hash "\"}]}"

static void test_push(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, other = NULL, place = NULL;
        json_t *launch;

        pull(r, PLACE ":9");
        assert_job_tidy(r, 1, "done", "", "");
        rig_write(r, OBJECT, "program");
        r->play[KIND_WORKER] = play_pack;
        pack_says = ASKS(HEX3);
        other = push(r, "sha256:" HEX2, PLACE ":10");
        assert_error(other, ERROR("DigestMismatch"));
        place = push(r, "", PLACE "@sha256:" HEX2);
        assert_error(place, ERROR("InvalidName"));
        reply = push(r, "sha256:" HEX, PLACE ":10");
        assert_good(reply);
        assert_job_tidy(r, 2, "done", "", "");
        launch = fake_find(r, "mcp-fetch@2.service")->launch;
        assert_string_equal(json_string_value(json_object_get(launch, "op")), "push");
        assert_string_equal(json_string_value(json_object_get(launch, "destination")), PLACE ":10");
        assert_string_equal(json_string_value(json_object_get(launch, "digest")), "sha256:" HEX2);
        assert_string_equal(((Question *) r->questions->pdata[r->questions->len - 2])->action, NAME ".push-image");
        assert_string_equal(((Question *) r->questions->pdata[r->questions->len - 1])->action, NAME ".manage-profiles");
        assert_property(r, ROOT "/job/2", JOB, "Subject", HERE);
}

static void test_hostile_pack(void **state) {
        static const struct {
                const char *says, *error, *text;
        } bad[] = {
                {ASKS("../../../../etc/shadow"), ERROR("BuildFailed"), "request is none"},
                {ASKS(HEX), ERROR("ProfileDamaged"), "object " HEX " (bin/x) is missing"},
                {ASKS(HEX2), ERROR("ProfileDamaged"), "is a symbolic link"},
                {"{\"type\":\"objects\"}", ERROR("BuildFailed"), "request is none"},
                {"{\"type\":\"objects\",\"list\":[]}", ERROR("BuildFailed"), "request is none"},
                {"{\"type\":\"objects\",\"list\":[7]}", ERROR("BuildFailed"), "request is none"},
                {"{\"type\":\"objects\",\"list\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", ERROR("BuildFailed"), "none"},
                {"{\"type\":\"done\"}", ERROR("BuildFailed"), "no digest"},
                {"{\"type\":\"done\",\"digest\":\"sha256:../x\"}", ERROR("BuildFailed"), "no digest"},
                {"{\"type\":\"failed\",\"error\":\"ProfileDamaged\",\"message\":\"it is\"}", ERROR("ProfileDamaged"),
                        "it is"},
        };
        Rig *r = *state;
        g_autofree char *link = rig_path(r, "state/profiles/cas/objects/" HEX2);

        pull(r, PLACE ":9");
        assert_job_tidy(r, 1, "done", "", "");
        assert_int_equal(symlink("/etc/passwd", link), 0);
        r->play[KIND_WORKER] = play_pack;
        for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(sd_bus_message) reply = NULL;

                pack_says = bad[i].says;
                reply = push(r, "", PLACE ":10");
                assert_good(reply);
                assert_job_tidy(r, i + 2, "failed", bad[i].error, bad[i].text);
        }
        assert_null(fake_find(r, "mcp-fetch@2.service"));
        rig_assert_alive(r);
}

static void test_push_cancel(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) one = NULL, two = NULL;

        pull(r, PLACE ":9");
        assert_job_tidy(r, 1, "done", "", "");
        rig_write(r, OBJECT, "program");
        r->play[KIND_WORKER] = play_nothing;
        one = push(r, "", PLACE ":10");
        assert_good(one);
        until(r, fake_heard(fake_find(r, "mcp-image@2.service"), "launch"));
        cancel(r, 2);
        r->play[KIND_WORKER] = play_pack;
        r->play[KIND_FETCH] = play_nothing;
        pack_says = ASKS(HEX3);
        two = push(r, "", PLACE ":10");
        assert_good(two);
        until(r, fake_heard(fake_find(r, "mcp-fetch@2.service"), "launch"));
        cancel(r, 3);
        assert_int_equal(unit_runs(r, "mcp-fetch@2.service"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pull, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_gate, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_words, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_other_things, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hostile_helpers, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_push, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_hostile_pack, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_push_cancel, setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
