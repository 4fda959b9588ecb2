/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one user may hold, at the edge: shares of addresses, disk space and calls of Wait, limits with their number, and
 * owners by name. Root can be several users here; who is not root is one of them, and root is left out. */
#include "rig.h"

#include <pwd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WEB ROOT "/vm/web"
/* dbus-daemon wants users that exist: daemon, bin, sys, sync. */
#define ALICE 1U
#define BOB 2U
#define CAROL 3U
#define DAVE 4U
#define MIB (1024ULL * 1024ULL)

/* The first user: who runs the test, where that is not root. */
static uint32_t alice(const Rig *r) {
        return r->uid == 0 ? ALICE : r->uid;
}

/* The daemon with these settings, and an image for each uid. */
static void start(Rig *r, const char *settings, const uint32_t *uids) {
        g_autofree char *text = g_strconcat("[Runtime]\nReservedBytes=0\n", settings, NULL);

        rig_write(r, "runtime.conf.d/quotas.conf", text);
        for (; r->uid == 0 && *uids; uids++)
                rig_add_image_of(r, *uids, HEX, REFERENCE);
        rig_start_daemon(r);
}

static const uint32_t all_uids[] = {ALICE, BOB, CAROL, DAVE, 0};

static void become(Rig *r, uint32_t uid) {
        if (r->uid != 0) {
                assert_int_equal(uid, r->uid);
                return;
        }
        sd_bus_flush_close_unref(r->caller);
        r->caller = rig_connect_as(r, uid);
}

static const char *message_of(sd_bus_message *reply) {
        return sd_bus_message_get_error(reply)->message;
}

static void assert_exceeded(sd_bus_message *reply, const char *words) {
        assert_error(reply, ERROR("QuotaExceeded"));
        if (!strstr(message_of(reply), words))
                fail_msg("'%s' does not say '%s'", message_of(reply), words);
}

static sd_bus_message *on_network(Rig *r, const char *name) {
        return rig_call(
                r, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 2, "Image", "s", REFERENCE, "Network", "s", "default");
}

static void assert_leases(Rig *r, uint32_t uid, const char *prefix, unsigned n) {
        become(r, uid);
        for (unsigned i = 0; i < n; i++) {
                g_autofree char *name = g_strdup_printf("%s%u", prefix, i);
                g_autoptr(sd_bus_message) reply = on_network(r, name);

                assert_good(reply);
        }
}

/* ---- Addresses ---- */

/* Five addresses: two for the first, one for each who comes later, as long as there is one. */
static void test_addresses(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) third = NULL, more = NULL, late = NULL, left = NULL, again = NULL,
                                  root = NULL;

        start(r, "DefaultSubnet=10.99.0.0/29\nDefaultGateway=10.99.0.1\n", all_uids);
        assert_leases(r, alice(r), "a", 2);
        third = on_network(r, "a2");
        assert_exceeded(third, " has 2 addresses of network 'default', 1 more would be above its share of 2");
        assert_int_equal(r->questions->len, 4); /* run-vm and attach-bridge, and nothing for the third */
        if (r->uid != 0)
                return;
        assert_leases(r, BOB, "b", 1);
        more = on_network(r, "b1");
        assert_exceeded(more, "share of 1");
        assert_leases(r, CAROL, "c", 1);
        assert_leases(r, DAVE, "d", 1);
        late = on_network(r, "d1");
        assert_error(late, ERROR("NoFreeAddress"));

        /* One goes and another takes its place; root takes what is left. */
        become(r, alice(r));
        left = rig_call(r, ROOT "/vm/a0", VM, "Update", "a{sv}", 1, "Network", "s", "none");
        assert_good(left);
        again = on_network(r, "a2");
        assert_exceeded(again, "share of 0"); /* of the two that are free or hers there are four users now */
        become(r, 0);
        root = on_network(r, "root");
        assert_good(root);
}

/* Who has all of its share may still change one of its addresses for another. */
static void test_address_changed(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) moved = NULL, third = NULL;

        start(r, "DefaultSubnet=10.99.0.0/29\nDefaultGateway=10.99.0.1\n", all_uids);
        become(r, alice(r));
        for (unsigned i = 0; i < 2; i++) {
                g_autofree char *name = g_strdup_printf("a%u", i), *address = g_strdup_printf("10.99.0.%u", 2 + i);
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 3, "Image",
                        "s", REFERENCE, "Network", "s", "default", "Address", "s", address);

                assert_good(reply);
        }
        moved = rig_call(r, ROOT "/vm/a1", VM, "Update", "a{sv}", 1, "Address", "s", "10.99.0.6");
        assert_good(moved);
        assert_property(r, ROOT "/vm/a1", VM, "Address", "10.99.0.6");
        third = on_network(r, "a2");
        assert_exceeded(third, "share of 2");
}

static void test_first_come(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) sixth = NULL;

        start(r, "DefaultSubnet=10.99.0.0/29\nDefaultGateway=10.99.0.1\nFairShares=no\n", all_uids);
        assert_leases(r, alice(r), "a", 5);
        sixth = on_network(r, "a5");
        assert_error(sixth, ERROR("NoFreeAddress"));
}

/* What was given stays given, whatever the shares are by then. */
static void test_leases_stay(void **state) {
        Rig *r = *state;

        start(r, "DefaultSubnet=10.99.0.0/29\nDefaultGateway=10.99.0.1\nFairShares=no\n", all_uids);
        assert_leases(r, alice(r), "a", 5);
        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "runtime.conf.d/quotas.conf", "[Runtime]\nDefaultSubnet=10.99.0.0/29\nDefaultGateway=10.99.0.1\n");
        rig_start_daemon(r);
        for (unsigned i = 0; i < 5; i++) {
                g_autofree char *path = g_strdup_printf(ROOT "/vm/a%u", i), *address = rig_get(r, path, VM, "Address");

                assert_true(g_str_has_prefix(address, "10.99.0."));
        }
}

/* ---- Disk space ---- */

static uint64_t free_bytes(Rig *r) {
        struct statvfs st;

        assert_int_equal(statvfs(r->dir, &st), 0);
        return (uint64_t) st.f_bavail * st.f_frsize;
}

static sd_bus_message *with_disk(Rig *r, const char *name, double part) {
        uint64_t bytes = (uint64_t) ((double) free_bytes(r) * part) / MIB * MIB;

        return rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 2, "Image", "s", REFERENCE, "Disks", "a(sts)", 1,
                "/data", bytes, name);
}

/* Promised is taken. Each of three has an image, so a quarter of what is free or its own is what one may have. */
static void test_disks(void **state) {
        static const uint32_t three[] = {ALICE, BOB, CAROL, 0};
        Rig *r = *state;
        g_autoptr(sd_bus_message) too_much = NULL, much = NULL, more = NULL, second = NULL, fits = NULL, root = NULL,
                                  grown = NULL, third = NULL;

        const double k = r->uid == 0 ? 1 : 2; /* alone it is a half */

        start(r, "DiskBytesPerUser=0\n", three);
        become(r, alice(r));
        too_much = with_disk(r, "a", 0.3 * k);
        assert_exceeded(too_much, " has 11 bytes of the store's disk space"); /* her image */
        much = with_disk(r, "a", 0.2 * k);
        assert_good(much);
        more = with_disk(r, "more", 0.1 * k);
        assert_exceeded(more, r->uid == 0 ? "2 other users have some" : "0 other users have some");
        grown = rig_call(
                r, ROOT "/vm/a", VM, "Update", "a{sv}", 1, "MemoryMiB", "u", 128); /* what she has is not asked again */
        assert_good(grown);
        if (r->uid != 0)
                return;
        become(r, BOB);
        second = with_disk(r, "b", 0.25); /* of 0.8 that are free he may have 0.2 */
        assert_exceeded(second, "2 other users have some");
        fits = with_disk(r, "b", 0.15);
        assert_good(fits);
        become(r, 0);
        root = with_disk(r, "root", 3);
        assert_good(root);
        become(r, CAROL); /* what root has promised itself is not taken from users before it is written */
        third = with_disk(r, "c", 0.1);
        assert_good(third);
}

/* The last of the disk is root's. */
static void test_reserve(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");
        g_autoptr(sd_bus_message) import = NULL, disk = NULL, root = NULL;

        start(r, "ReservedBytes=18446744073709551615\n", all_uids);
        become(r, alice(r));
        import = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:1", path, 0);
        assert_exceeded(import, "0 are free");
        disk = with_disk(r, "a", 0.01);
        assert_exceeded(disk, "0 are free");
        if (r->uid != 0)
                return;
        become(r, 0);
        root = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:1", path, 0);
        assert_good(root);
}

/* ---- Calls of Wait ---- */

#define WAITS 1024U

/* The first that was answered: calls of a new connection may overtake each other. */
static Pending *answered(GPtrArray *pending) {
        for (guint i = 0; i < pending->len; i++)
                if (((Pending *) pending->pdata[i])->reply)
                        return pending->pdata[i];
        return NULL;
}

static unsigned count_answered(GPtrArray *pending) {
        unsigned n = 0;

        for (guint i = 0; i < pending->len; i++)
                n += ((Pending *) pending->pdata[i])->reply != NULL;
        return n;
}

static sd_bus *connect_alice(Rig *r) {
        return r->uid == 0 ? rig_connect_as(r, ALICE) : rig_connect(r);
}

static void test_waits(void **state) {
        Rig *r = *state;
        g_autoptr(GPtrArray) pending = g_ptr_array_new_with_free_func((GDestroyNotify) pending_free);
        g_autoptr(sd_bus_message) web = NULL;
        sd_bus *first, *second;

        start(r, "", all_uids);
        web = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        assert_good(web);
        first = connect_alice(r);
        for (unsigned i = 0; i <= WAITS / 2; i++)
                g_ptr_array_add(pending, rig_send(r, first, WEB, VM, "Wait", "s", "running"));
        until(r, answered(pending));
        rig_settle(r);
        assert_exceeded(answered(pending)->reply, "has 512 pending calls of Wait");
        assert_int_equal(count_answered(pending), 1);
        if (r->uid == 0) { /* another one still finds a place */
                second = rig_connect_as(r, BOB);
                g_ptr_array_add(pending, rig_send(r, second, WEB, VM, "Wait", "s", "running"));
                rig_settle(r);
                assert_int_equal(count_answered(pending), 1);
                sd_bus_flush_close_unref(second);
        }

        /* She leaves, and all her places are free. */
        sd_bus_flush_close_unref(first);
        g_ptr_array_set_size(pending, 0);
        first = connect_alice(r);
        rig_settle(r);
        g_ptr_array_add(pending, rig_send(r, first, WEB, VM, "Wait", "s", "running"));
        rig_settle(r);
        assert_int_equal(count_answered(pending), 0);
        sd_bus_flush_close_unref(first);
}

/* ---- The host's memory ---- */

static sd_bus_message *run_with(Rig *r, const char *name, uint32_t mib) {
        return rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", name, 3, "Image", "s", REFERENCE, "Accelerator", "s", "tcg",
                "MemoryMiB", "u", mib);
}

/* The memory of all running VMs is the host's at most, whoever has them: looked at before anything boots. */
static void test_admission(void **state) {
        uint32_t host = (uint32_t) ((uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE) >> 20);
        Rig *r = *state;
        g_autoptr(sd_bus_message) first = NULL, second = NULL, fits = NULL;

        start(r, "", all_uids);
        first = run_with(r, "web", host - 64);
        assert_good(first);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        become(r, alice(r));
        second = run_with(r, "more", 65);
        assert_error(second, ERROR("NoSpace"));
        assert_non_null(strstr(message_of(second), "is above the host's"));
        assert_int_equal(unit_runs(r, "mcp-vm@more.service"), 0);
        fits = run_with(r, "more", 64);
        assert_good(fits);
}

/* ---- Limits with a number ---- */

static void test_spec_bytes(void **state) {
        Rig *r = *state;
        g_autofree char *long_word = g_strnfill(3000, 'x');
        g_autoptr(sd_bus_message) large = NULL, small = NULL, update = NULL, root = NULL;

        start(r, "SpecBytesMax=3000\n", all_uids);
        become(r, alice(r));
        large = rig_call(
                r, ROOT, MANAGER, "CreateVM", "sa{sv}", "a", 2, "Image", "s", REFERENCE, "Command", "as", 1, long_word);
        assert_exceeded(large, "above the limit of 3000");
        small = rig_call(
                r, ROOT, MANAGER, "CreateVM", "sa{sv}", "a", 2, "Image", "s", REFERENCE, "Command", "as", 1, "x");
        assert_good(small);
        update = rig_call(r, ROOT "/vm/a", VM, "Update", "a{sv}", 1, "Command", "as", 1, long_word);
        assert_exceeded(update, "above the limit of 3000");
        if (r->uid != 0)
                return;
        become(r, 0);
        root = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "root", 2, "Image", "s", REFERENCE, "Command", "as", 1,
                long_word);
        assert_good(root);
}

static sd_bus_message *follow(Rig *r) {
        return rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
}

static void test_followers(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL, first = NULL, second = NULL, third = NULL, again = NULL;

        start(r, "LogFollowersPerUser=2\n", all_uids);
        become(r, alice(r));
        run = rig_call(
                r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");
        assert_good(run);
        rig_settle(r);
        until(r, rig_has(r, "state/vms/web/log0"));
        first = follow(r);
        assert_good(first);
        second = follow(r);
        assert_good(second);
        third = follow(r);
        assert_exceeded(third, " has 2 open logs, the limit is 2");
        g_clear_pointer(&first, sd_bus_message_unref); /* closes its descriptor */
        rig_settle(r);
        again = follow(r);
        assert_good(again);
}

/* ---- Who they are ---- */

static bool log_has(Rig *r, const char *words) {
        g_autofree char *log = rig_read(r, "daemon.log");

        return log && strstr(log, words);
}

static const char *own_name(void) {
        const struct passwd *pw = getpwuid(geteuid());

        return pw ? pw->pw_name : "";
}

static char *named_so(const char *name) {
        return g_strdup_printf("\"%s\"", name);
}

static void rename_owner(Rig *r, const char *file) {
        g_autofree char *text = rig_read(r, file), *other = NULL, *now = named_so(own_name());
        g_auto(GStrv) parts = g_strsplit(text ?: "", now, 2);

        if (g_strv_length(parts) != 2)
                fail_msg("%s does not name its owner: %s", file, text);
        other = g_strjoinv("\"carol\"", parts);
        rig_write(r, file, other);
}

static bool is_named(Rig *r, const char *file) {
        g_autofree char *text = rig_read(r, file), *now = named_so(own_name());

        return text && strstr(text, "\"owner_name\"") && strstr(text, now);
}

/* It begins so, and says that it was carol's. */
static bool log_tells(Rig *r, const char *what) {
        g_autofree char *words = g_strdup_printf("%s: it was created by user 'carol', and uid %u is '%s' now", what, r->uid, own_name());

        return log_has(r, words);
}

/* Records of VMs, images and jobs have the owner's name beside the uid; one that differs is told. */
static void test_owner_names(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf("%u/" HEX, r->uid), *record = g_strdup_printf("state/images/%s.json", image),
                        *text = g_strconcat("image ", image, NULL);
        g_autoptr(sd_bus_message) run = NULL;

        if (!*own_name())
                skip();
        start(r, "", all_uids);
        run = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        until(r, is_named(r, "state/vms/web/meta.json"));
        until(r, is_named(r, record)); /* one of before names */
        until(r, is_named(r, "state/cache/jobs/1.json"));
        rig_stop_daemon(r, SIGKILL);
        assert_false(log_has(r, "it was created by user"));
        rename_owner(r, "state/vms/web/meta.json");
        rename_owner(r, record);
        rename_owner(r, "state/cache/jobs/1.json");
        rig_start_daemon(r);
        until(r, log_tells(r, "job 1"));
        until(r, log_tells(r, text));
        until(r, log_tells(r, "web"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup_without_daemon, rig_teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                TEST(test_addresses),
                TEST(test_address_changed),
                TEST(test_first_come),
                TEST(test_leases_stay),
                TEST(test_disks),
                TEST(test_reserve),
                TEST(test_waits),
                TEST(test_admission),
                TEST(test_spec_bytes),
                TEST(test_followers),
                TEST(test_owner_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
