/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of Nanos guests to an artifact and back, and artifacts that are not what they say. */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-maker.h"
#include "shared/artifact-type.h"
#include "shared/fd.h"
#include "worker-run.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define IMAGE "sha256:" HEX
#define SAYS "{\"image\":\"" IMAGE "\",\"key\":\"" HEX "\"}"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define DISK_BYTES (3U << 20)

static char scratch[] = "/tmp/mcp-disks-XXXXXX";

static int new_file(void) {
        g_autofree char *path = g_strdup_printf("%s/%u", scratch, g_random_int());
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(unlink(path), 0);
        return fd;
}

/* Mostly holes, with something at its beginning, in its middle and at its end. */
static int make_disk(void) {
        int fd = new_file();

        assert_int_equal(pwrite(fd, "boot", 4, 0), 4);
        assert_int_equal(pwrite(fd, "middle", 6, 1234567), 6);
        assert_int_equal(pwrite(fd, "end", 3, DISK_BYTES - 1003), 3); /* and zeros behind it */
        assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
        return fd;
}

static GByteArray *bytes_of(int fd) {
        g_autofree char *data = NULL;
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        data = g_malloc((size_t) st.st_size + 1);
        assert_int_equal(pread(fd, data, (size_t) st.st_size, 0), st.st_size);
        return g_byte_array_new_take((guint8 *) g_steal_pointer(&data), (gsize) st.st_size);
}

static struct outcome pack_disk(int disk, int archive) {
        static const char *const names[] = {"disk", "archive", NULL};
        int fds[] = {disk, archive};

        return worker_run(json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "launch", "op", "nanos-pack", "image", IMAGE,
                                  "key", HEX, "title", "web:1"),
                names, fds, 0);
}

static struct outcome unpack(const char *digest, int archive, int output, unsigned bytes) {
        static const char *const names[] = {"source", "output", NULL};
        int fds[] = {archive, output};

        return worker_run(json_pack("{s:s, s:s, s:s, s:{s:i}}", "type", "launch", "op", "nanos-unpack", "digest",
                                  digest, "limits", "bytes", bytes),
                names, fds, 0);
}

static void test_there_and_back(void **state) {
        int disk = make_disk(), back = new_file(), archive[2];
        g_autoptr(GByteArray) before = bytes_of(disk), after = NULL;
        g_autofree char *digest = NULL;
        struct outcome o;
        struct stat st;

        for (int i = 0; i < 2; i++) {
                g_autofree char *last = g_steal_pointer(&digest);

                archive[i] = new_file();
                o = pack_disk(disk, archive[i]);
                assert_done(&o);
                digest = g_strdup(text_of(&o, "digest"));
                outcome_clear(&o);
                if (last)
                        assert_string_equal(last, digest); /* the same for the same disk */
        }
        assert_int_equal(fstat(archive[0], &st), 0);
        assert_true(st.st_size < DISK_BYTES / 10);
        o = unpack(digest, archive[0], back, DISK_BYTES);
        assert_done(&o);
        assert_string_equal(text_of(&o, "image"), IMAGE);
        assert_string_equal(text_of(&o, "key"), HEX);
        outcome_clear(&o);
        after = bytes_of(back);
        assert_int_equal(after->len, before->len);
        assert_memory_equal(after->data, before->data, before->len);
        assert_int_equal(fstat(back, &st), 0);
        assert_true((uint64_t) st.st_blocks * 512 <= 64U << 10); /* the holes are holes again */
        (void) close_fd(back);

        back = new_file();
        o = unpack(digest, archive[0], back, DISK_BYTES - 1);
        assert_failed(&o, "LimitExceeded", "more than 3145727 bytes");
        outcome_clear(&o);
        o = unpack(IMAGE, archive[0], back, DISK_BYTES);
        assert_int_equal(o.status, 0);
        assert_string_equal(text_of(&o, "type"), "failed");
        outcome_clear(&o);
        (void) close_fd(disk);
        (void) close_fd(back);
        (void) close_fd(archive[0]);
        (void) close_fd(archive[1]);
}

/* ---- Artifacts of strangers ---- */

struct parts {
        const char *config, *config_type, *layer_type;
        const char *damage; /* "digest", "cut", "plain", "empty"; NULL: it is sound */
};

static GByteArray *make_layer(const char *damage) {
        int disk = make_disk();
        g_autoptr(GByteArray) whole = bytes_of(disk), none = g_byte_array_new();
        GByteArray *layer = pack(g_strcmp0(damage, "empty") == 0 ? none : whole, ZSTD);

        (void) close_fd(disk);
        if (g_strcmp0(damage, "cut") == 0)
                g_byte_array_set_size(layer, layer->len / 2);
        return layer;
}

static int make_artifact(const struct parts *p, char **ret_digest) {
        g_autoptr(GByteArray) layer = make_layer(p->damage), whole = NULL;
        g_autofree char *config = NULL, *blob = NULL, *text = NULL, *descriptor = NULL;
        maker *m = maker_new();

        config = maker_add_text_blob(m, p->config ?: SAYS, p->config_type ?: ARTIFACT_NANOS_CONFIG);
        if (g_strcmp0(p->damage, "digest") == 0) {
                g_autofree char *digest = sha256_of(layer), *name = g_strconcat("blobs/sha256/", digest + 7, NULL);

                blob = g_strdup_printf("{\"mediaType\":\"" ARTIFACT_NANOS_LAYER "\",\"digest\":\"%s\",\"size\":%u}",
                        digest, layer->len);
                layer->data[layer->len - 1] ^= 1;
                maker_add(m, name, layer->data, layer->len);
        } else
                blob = maker_add_blob(m, layer, p->layer_type ?: ARTIFACT_NANOS_LAYER);
        text = g_strdup_printf("{\"schemaVersion\":2,\"artifactType\":\"" ARTIFACT_NANOS
                               "\",\"config\":%s,\"layers\":[%s]}",
                config, blob);
        descriptor = maker_add_text_blob(m, text, MANIFEST_TYPE);
        *ret_digest = g_strndup(strstr(descriptor, "sha256:"), 71);
        maker_add_text(m, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        whole = maker_end(m);
        return bytes_memfd(whole);
}

static struct outcome take(const struct parts *p) {
        g_autofree char *digest = NULL;
        int archive = make_artifact(p, &digest), output = new_file();
        struct outcome o = unpack(digest, archive, output, 1U << 30);

        (void) close_fd(archive);
        (void) close_fd(output);
        return o;
}

static void test_strange(void **state) {
        static const struct {
                struct parts parts;
                const char *error, *text;
        } bad[] = {
                {{.damage = "cut"}, "UnsupportedImage", "the disk is damaged"},
                {{.damage = "empty"}, "UnsupportedImage", "the disk is"},
                {{.config = "{}"}, "UnsupportedImage", "configuration is not"},
                {{.config = "disk"}, "UnsupportedImage", "configuration is not"},
                {{.config = "{\"image\":\"" IMAGE "\",\"key\":\"../../x\"}"}, "UnsupportedImage",
                        "configuration is not"},
                {{.config = "{\"image\":\"sha256:../x\",\"key\":\"" HEX "\"}"}, "UnsupportedImage",
                        "configuration is not"},
                {{.config = "{\"image\":1,\"key\":[]}"}, "UnsupportedImage", "configuration is not"},
                {{.config_type = "application/vnd.oci.empty.v1+json"}, "UnsupportedImage", "media type of config"},
                {{.config_type = ARTIFACT_PROFILE_CONFIG}, "UnsupportedImage", "media type of config"},
                {{.layer_type = ARTIFACT_PROFILE_LAYER}, "UnsupportedImage", "media type of the layer"},
        };
        struct outcome o = take(&(struct parts){});

        assert_done(&o);
        outcome_clear(&o);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                o = take(&bad[i].parts);
                assert_failed(&o, bad[i].error, bad[i].text);
                outcome_clear(&o);
        }
        o = take(&(struct parts){.damage = "digest"});
        assert_string_equal(text_of(&o, "type"), "failed");
        outcome_clear(&o);
}

static int make_scratch(void **state) {
        return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state) {
        return rmdir(scratch);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_strange),
        };

        return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
