/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of mcp-fetch that fail, one after the other, in a pull and in a push with a stand-in for skopeo: the job says why by the name that
 * fits, nothing stays in the scratch directory, and what succeeds all the same is the same archive. */
#include "../worker/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../worker/archive-maker.h"
#include "../worker/worker-run.h"
#include "faults.h"
#include "shared/fd.h"
#include "shared/wire.h"

/* "inspect" prints the manifest; "copy" brings the blobs to "dir:", or looks whether all are there. */
#define SKOPEO                                                                                                         \
        "#!/bin/sh\ncd %s || exit 1\ncase $1 in\ninspect) exec cat manifest ;;\nesac\n"                                \
        "for to; do from=$last; last=$to; done\ncase $to in\n"                                                         \
        "dir:*) mkdir \"${to#dir:}\" && cp blobs/* \"${to#dir:}\" ;;\n"                                                \
        "*) for b in blobs/*; do cmp \"$b\" \"${from#dir:}/${b#blobs/}\" || exit 1; done ;;\nesac\n"

static struct faults *faults;
static char *directory, *scratch, *digest;
static GByteArray *wanted; /* the archive */

static char *below(const char *name) {
        return g_build_filename(directory, name, NULL);
}

static void make_file(const char *name, const void *data, size_t len, mode_t mode) {
        g_autofree char *path = below(name);

        if (!g_file_set_contents(path, data, (gssize) len, NULL) || chmod(path, mode) < 0)
                abort();
}

static char *make_blob(const char *text) {
        GByteArray *bytes = g_byte_array_append(g_byte_array_new(), (const guint8 *) text, (guint) strlen(text));
        char *sum = sha256_of(bytes);
        g_autofree char *name = g_strconcat("blobs/", sum + strlen("sha256:"), NULL);

        make_file(name, text, strlen(text), 0600);
        g_byte_array_unref(bytes);
        return sum;
}

static void make_registry(void) {
        static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\"}",
                          layer[] = "no tar, which is not looked at here";
        g_autofree char *blobs = below("blobs"), *config_sum = NULL, *layer_sum = NULL, *manifest = NULL,
                        *program = NULL;
        GByteArray *bytes = g_byte_array_new();

        if (mkdir(blobs, 0700) < 0 || mkdir(scratch, 0700) < 0)
                abort();
        config_sum = make_blob(config);
        layer_sum = make_blob(layer);
        manifest = g_strdup_printf(
                "{\"schemaVersion\":2,\"mediaType\":\"application/"
                "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
                "\"application/"
                "vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
                "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
                config_sum, strlen(config), layer_sum, strlen(layer));
        g_byte_array_append(bytes, (const guint8 *) manifest, (guint) strlen(manifest));
        digest = sha256_of(bytes);
        g_byte_array_unref(bytes);
        make_file("manifest", manifest, strlen(manifest), 0600);
        program = g_strdup_printf(SKOPEO, directory);
        make_file("skopeo", program, strlen(program), 0700);
}

/* ---- Jobs ---- */

static void say_go(int sock, const json_t *m, void *userdata) {
        json_t *go = json_pack("{s:s, s:i}", "type", "go", "bytes", 1 << 20);

        assert_string_equal(wire_type(m), "resolved");
        assert_int_equal(wire_send(sock, go, NULL, 0), 0);
        json_decref(go);
}

static GByteArray *content_of(int fd) {
        char *text;
        size_t len;
        GByteArray *bytes = g_byte_array_new();

        assert_int_equal(read_file(fd, 1 << 20, &text, &len), 0);
        g_byte_array_append(bytes, (const guint8 *) text, (guint) len);
        free(text);
        return bytes;
}

static struct outcome run(bool push, GByteArray **ret_archive) {
        static const char *const names[] = {"archive", NULL};
        g_autofree char *program = below("skopeo");
        json_t *launch = push ? json_pack("{s:s, s:s, s:s, s:s}", "type", "launch", "op", "push", "digest", digest,
                                        "destination", "registry.test/x:1")
                              : json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "launch", "op", "pull", "repository",
                                        "registry.test/x", "architecture", "x86_64", "tag", "1");
        int fd = memfd_create("archive", MFD_CLOEXEC);
        struct outcome o;

        if (push)
                assert_int_equal(write_all(fd, wanted->data, wanted->len), 0);
        (void) json_object_set_new(launch, "skopeo", json_string(program));
        (void) json_object_set_new(launch, "registry", json_string("registry.test"));
        o = worker_run_asking(launch, names, &fd, say_go, NULL);
        *ret_archive = content_of(fd);
        (void) close(fd);
        return o;
}

/* ---- The walk ---- */

static bool scratch_is_empty(void) {
        GDir *dir = g_dir_open(scratch, 0, NULL);
        bool empty = g_dir_read_name(dir) == NULL;

        g_dir_close(dir);
        return empty;
}

static void judge(const struct outcome *o, const GByteArray *archive, int n, int error) {
        const char *name = o->last ? text_of(o, "error") : NULL;
        bool full = error == ENOSPC || error == EDQUOT, any = faults->call == FAULT_ANY_DESCRIPTOR;

        if (!WIFEXITED(o->status) || (WEXITSTATUS(o->status) != 0 && !(any && n <= 2 && WEXITSTATUS(o->status) == 1)))
                complain("call %d: status %x", n, (unsigned) o->status);
        else if (!o->last && !(any && n == 1))
                complain("call %d: no word", n);
        else if (o->last && !name &&
                 (archive->len != wanted->len || memcmp(archive->data, wanted->data, archive->len) != 0))
                complain("call %d: done, with another archive", n);
        else if (name && (!strstr(text_of(o, "message"), g_strerror(error)) ||
                                 g_str_equal(name, full ? FAILURE_SPACE : FAILURE_OTHER) == 0))
                complain("call %d fails with \"%s\": %s: %s", n, g_strerror(error), name, text_of(o, "message"));
        if (!scratch_is_empty())
                complain("call %d leaves something behind", n);
}

static void walk(bool push, enum fault_call call, const char *prefix, int error) {
        int n = 0, done = 0;
        bool fired;

        faults_below(faults, prefix);
        do {
                GByteArray *archive;
                struct outcome o;

                faults_arm(faults, call, error, ++n, false);
                o = run(push, &archive);
                fired = faults->fired;
                judge(&o, archive, n, error);
                faults_disarm(faults);
                done += o.last && !text_of(&o, "error");
                outcome_clear(&o);
                g_byte_array_unref(archive);
        } while (fired);
        print_message("%s, %s: each of %d calls failed with %s, done all the same %d times\n", push ? "push" : "pull",
                prefix, n - 1, g_strerror(error), done - 1);
        assert_true(n > 1 && done > 0);
}

static void test_pull(void **state) {
        walk(false, FAULT_WRITE, "/memfd:archive", ENOSPC);
        walk(false, FAULT_FSYNC, "/memfd:archive", EIO);
        walk(false, FAULT_READ, scratch, EIO);
        walk(false, FAULT_READ, "pipe:", EIO);
        walk(false, FAULT_OPEN, scratch, EIO);
        walk(false, FAULT_ANY_DESCRIPTOR, "/", EMFILE);
        assert_no_complaints();
}

static void test_push(void **state) {
        walk(true, FAULT_READ, "/memfd:archive", EIO);
        walk(true, FAULT_CREATE, scratch, EDQUOT);
        walk(true, FAULT_WRITE, scratch, ENOSPC);
        walk(true, FAULT_ANY_DESCRIPTOR, "/", EMFILE);
        assert_no_complaints();
}

static int group_setup(void **state) {
        g_autofree char *path = NULL;
        struct outcome o;

        directory = g_dir_make_tmp("mcp-faults-XXXXXX", NULL);
        scratch = below("scratch");
        path = below("faults");
        make_registry();
        faults = faults_new(path, "/");
        g_setenv("TMPDIR", scratch, TRUE);
        faults_load(FAULT_PRELOAD, path);
        o = run(false, &wanted);
        if (!o.last || text_of(&o, "error"))
                return -1;
        outcome_clear(&o);
        return 0;
}

static int group_teardown(void **state) {
        g_autofree char *command = g_strdup_printf("rm -rf '%s'", directory);

        faults_unload();
        faults_free(faults);
        (void) g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL);
        g_byte_array_unref(wanted);
        g_free(directory);
        g_free(scratch);
        g_free(digest);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pull),
                cmocka_unit_test(test_push),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
