/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Indexes, manifests, configs and docker's manifest.json: what is read and what is refused. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "worker/image-limits.h"
#include "worker/oci-json.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"

#define DESCRIPTOR(type, digest) "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":7}"
#define PLATFORM(digest, os, arch)                                                                                     \
        "{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"" digest "\",\"size\":7,\"platform\":{\"os\":\"" os          \
        "\",\"architecture\":\"" arch "\"}}"
#define INDEX(list) "{\"schemaVersion\":2,\"manifests\":[" list "]}"
#define MANIFEST(config, layers) "{\"schemaVersion\":2,\"config\":" config ",\"layers\":[" layers "]}"

static oci_document *document(const char *text) {
        struct failure f = {};
        oci_document *d = NULL;

        if (oci_document_parse(text, strlen(text), 3, &d, &f) < 0)
                fail_msg("%s", f.message);
        return d;
}

static void document_fails(const char *text, const char *error, const char *why) {
        struct failure f = {};
        oci_document *d = NULL;

        assert_true(oci_document_parse(text, strlen(text), 3, &d, &f) < 0);
        assert_null(d);
        assert_failure(&f, error, why);
}

static void test_manifest(void **state) {
        g_autoptr(oci_document) d = document(
                MANIFEST(DESCRIPTOR(OCI_CONFIG, D1), DESCRIPTOR(OCI_LAYER, D1) "," DESCRIPTOR(OCI_LAYER "+zstd", D2)));
        const oci_descriptor *top = g_ptr_array_index(d->layers, 1);

        assert_false(d->is_index);
        assert_string_equal(d->config->digest, D1);
        assert_int_equal(d->layers->len, 2);
        assert_string_equal(top->digest, D2);
        assert_int_equal(top->size, 7);
        assert_int_equal(top->kind, MEDIA_LAYER);
}

static void test_manifest_refused(void **state) {
        document_fails("", FAILURE_UNSUPPORTED, "is no JSON");
        document_fails("[]", FAILURE_UNSUPPORTED, "must be an object");
        document_fails("{\"layers\":[]}", FAILURE_UNSUPPORTED, "\"schemaVersion\" is missing");
        document_fails("{\"schemaVersion\":1}", FAILURE_UNSUPPORTED, "\"schemaVersion\" must be 2");
        document_fails("{\"schemaVersion\":\"2\"}", FAILURE_UNSUPPORTED, "must be a number");
        document_fails("{\"schemaVersion\":2}", FAILURE_UNSUPPORTED, "\"config\" is missing");
        document_fails("{\"schemaVersion\":2,\"config\":[],\"layers\":[]}", FAILURE_UNSUPPORTED, "must be an object");
        document_fails("{\"schemaVersion\":2,\"schemaVersion\":2}", FAILURE_UNSUPPORTED, "is no JSON");
        document_fails(MANIFEST("{}", ""), FAILURE_UNSUPPORTED, "\"digest\" is missing");
        document_fails(MANIFEST(DESCRIPTOR(OCI_CONFIG, D1), "7"), FAILURE_UNSUPPORTED, "must be an object");
        document_fails(MANIFEST(DESCRIPTOR(OCI_CONFIG, "sha512:12"), ""), FAILURE_UNSUPPORTED, "no sha256 digest");
        document_fails(
                MANIFEST(DESCRIPTOR(OCI_CONFIG, "sha256:../../etc/passwd"), ""), FAILURE_UNSUPPORTED, "no sha256");
        document_fails("{\"schemaVersion\":2,\"mediaType\":\"text/html\",\"config\":{},\"layers\":[]}",
                FAILURE_UNSUPPORTED, "\"text/html\" is not read here");
}

static void test_media_types_refused(void **state) {
        document_fails(MANIFEST(DESCRIPTOR("application/wasm", D1), ""), FAILURE_UNSUPPORTED,
                "manifest config: media type \"application/wasm\" is not read here; accepted: an OCI image config");
        document_fails(MANIFEST(DESCRIPTOR(OCI_CONFIG, D1), DESCRIPTOR("application/x-brotli", D1)),
                FAILURE_UNSUPPORTED,
                "media type \"application/x-brotli\" is not read here; accepted: OCI or docker layers");
        document_fails(MANIFEST(DESCRIPTOR(OCI_CONFIG, D1),
                               DESCRIPTOR("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", D1)),
                FAILURE_UNSUPPORTED, "foreign");
}

static void test_layer_limit(void **state) {
#define L DESCRIPTOR(OCI_LAYER, D1)
        oci_document_free(document(MANIFEST(DESCRIPTOR(OCI_CONFIG, D1), L "," L "," L)));
        document_fails(MANIFEST(DESCRIPTOR(OCI_CONFIG, D1), L "," L "," L "," L), FAILURE_LIMIT,
                "4 layers, more than 3 (limit \"layers\")");
#undef L
}

static void test_index_limit(void **state) {
        g_autoptr(GString) s = g_string_new("{\"schemaVersion\":2,\"manifests\":[");

        for (unsigned i = 0; i <= OCI_INDEX_ENTRIES_MAX; i++)
                g_string_append(s, i > 0 ? "," DESCRIPTOR(OCI_MANIFEST, D1) : DESCRIPTOR(OCI_MANIFEST, D1));
        g_string_append(s, "]}");
        document_fails(s->str, FAILURE_LIMIT, "more than 1000 manifests");
}

static void choose(const char *text, const char *expected) {
        g_autoptr(oci_document) d = document(text);
        const oci_descriptor *found;
        struct failure f = {};

        if (oci_document_choose(d, "amd64", &found, &f) < 0)
                fail_msg("%s", f.message);
        assert_string_equal(found->digest, expected);
}

static void choose_fails(const char *text, const char *why) {
        g_autoptr(oci_document) d = document(text);
        const oci_descriptor *found;
        struct failure f = {};

        assert_true(oci_document_choose(d, "amd64", &found, &f) < 0);
        assert_failure(&f, FAILURE_UNSUPPORTED, why);
}

static void test_choose(void **state) {
        choose(INDEX(PLATFORM(D1, "linux", "arm64") "," PLATFORM(D2, "linux", "amd64")), D2);
        choose(INDEX(PLATFORM(D1, "windows", "amd64") "," PLATFORM(D2, "linux", "amd64")), D2);
        choose(INDEX(PLATFORM(D1, "linux", "amd64") "," PLATFORM(D2, "unknown", "unknown")), D1);
        choose(INDEX(DESCRIPTOR(OCI_MANIFEST, D1)), D1);
        /* Two names of one image. */
        choose(INDEX(DESCRIPTOR(OCI_MANIFEST, D1) "," DESCRIPTOR(OCI_MANIFEST, D1)), D1);
        choose_fails(INDEX(DESCRIPTOR(OCI_MANIFEST, D1) "," DESCRIPTOR(OCI_MANIFEST, D2)), "several images");
        choose_fails(INDEX(PLATFORM(D1, "linux", "arm64")), "nothing for linux/amd64, only: linux/arm64");
        choose_fails(INDEX(""), "nothing at all");
        choose_fails(INDEX(DESCRIPTOR("text/plain", D1)), "media type \"text/plain\"");
}

static void test_reference_name(void **state) {
        g_autoptr(oci_document) d =
                document(INDEX("{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"" D1
                               "\",\"size\":1,\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}}"));
        const oci_descriptor *first = g_ptr_array_index(d->manifests, 0);

        assert_string_equal(first->name, "v1");
}

static void config_fails(const char *text, const char *error, const char *why) {
        struct failure f = {};
        oci_config *c = NULL;

        assert_true(oci_config_parse(text, strlen(text), &c, &f) < 0);
        assert_null(c);
        assert_failure(&f, error, why);
}

static void check_run(const char *text, const char *expected) {
        g_autoptr(oci_config) c = NULL;
        g_autofree char *run = NULL;
        struct failure f = {};

        if (oci_config_parse(text, strlen(text), &c, &f) < 0)
                fail_msg("%s", f.message);
        run = json_dumps(c->run, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(run, expected);
}

static void test_config(void **state) {
        check_run("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"web\",\"ExposedPorts\":{\"80/"
                  "tcp\":{},"
                  "\"443/tcp\":{}},\"Env\":[\"A=B\"],\"Entrypoint\":[\"/x\"],\"Cmd\":[\"y\"],\"WorkingDir\":\"/"
                  "w\",\"Labels\":{\"l\":"
                  "\"m\"},\"StopSignal\":\"SIGINT\"}}",
                "{\"cmd\":[\"y\"],\"entrypoint\":[\"/x\"],\"env\":[\"A=B\"],\"labels\":{\"l\":\"m\"},\"ports\":[\"443/"
                "tcp\",\"80/"
                "tcp\"],\"stop_signal\":\"SIGINT\",\"user\":\"web\",\"workdir\":\"/w\"}");
        /* Everything may be missing or null. */
        check_run("{}", "{\"cmd\":[],\"entrypoint\":[],\"env\":[],\"ports\":[],\"stop_signal\":\"\",\"user\":\"\","
                        "\"workdir\":\"\"}");
        check_run("{\"config\":{\"Cmd\":null,\"Entrypoint\":null,\"Labels\":null}}",
                "{\"cmd\":[],\"entrypoint\":[],\"env\":[],\"ports\":[],\"stop_signal\":\"\",\"user\":\"\",\"workdir\":"
                "\"\"}");
}

static void test_config_refused(void **state) {
        config_fails("x", FAILURE_UNSUPPORTED, "image config is no JSON");
        config_fails("7", FAILURE_UNSUPPORTED, "image config");
        config_fails("{\"config\":[]}", FAILURE_UNSUPPORTED, "\"config\" must be an object");
        config_fails("{\"config\":{\"Cmd\":\"sh\"}}", FAILURE_UNSUPPORTED, "\"Cmd\" must be an array");
        config_fails("{\"config\":{\"Env\":[1]}}", FAILURE_UNSUPPORTED, "\"Env\" must be an array of strings");
        config_fails("{\"config\":{\"User\":0}}", FAILURE_UNSUPPORTED, "\"User\" must be a string");
        config_fails("{\"config\":{\"Cmd\":[\"a\\u0000b\"]}}", FAILURE_UNSUPPORTED, "is no JSON");
        config_fails("{\"config\":{\"Labels\":{\"a\":1}}}", FAILURE_UNSUPPORTED, "\"Labels\" must hold strings");
        config_fails(
                "{\"rootfs\":{\"diff_ids\":[1]}}", FAILURE_UNSUPPORTED, "\"diff_ids\" must be an array of strings");
}

static void test_config_size(void **state) {
        g_autofree char *long_text = g_strnfill(OCI_CONFIG_BYTES_MAX, 'x');
        g_autofree char *env = g_strdup_printf("{\"config\":{\"Env\":[\"%s\"]}}", long_text);
        g_autofree char *labels = g_strdup_printf("{\"config\":{\"Labels\":{\"a\":\"%s\"}}}", long_text);

        config_fails(env, FAILURE_LIMIT, "49152 bytes");
        /* Labels are only decoration. */
        check_run(labels, "{\"cmd\":[],\"entrypoint\":[],\"env\":[],\"ports\":[],\"stop_signal\":\"\",\"user\":\"\","
                          "\"workdir\":\"\"}");
}

static void docker_fails(const char *text, const char *error, const char *why) {
        struct failure f = {};
        docker_manifest *m = NULL;

        assert_true(docker_manifest_parse(text, strlen(text), 2, &m, &f) < 0);
        assert_null(m);
        assert_failure(&f, error, why);
}

static void test_docker(void **state) {
        static const char text[] =
                "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"a:2\"],\"Layers\":[\"l1\",\"l2\"]}]";
        g_autoptr(docker_manifest) m = NULL;
        struct failure f = {};

        assert_int_equal(docker_manifest_parse(text, strlen(text), 2, &m, &f), 0);
        assert_string_equal(m->config, "c.json");
        assert_string_equal(m->name, "a:1");
        assert_string_equal(g_ptr_array_index(m->layers, 1), "l2");
}

static void test_docker_refused(void **state) {
        docker_fails("{}", FAILURE_UNSUPPORTED, "must be an array");
        docker_fails("[]", FAILURE_UNSUPPORTED, "must be an array");
        docker_fails("[{},{}]", FAILURE_UNSUPPORTED, "holds 2 images");
        docker_fails("[{}]", FAILURE_UNSUPPORTED, "\"Config\" is missing");
        docker_fails("[{\"Config\":\"c\"}]", FAILURE_UNSUPPORTED, "\"Layers\" is missing");
        docker_fails(
                "[{\"Config\":\"c\",\"Layers\":[7]}]", FAILURE_UNSUPPORTED, "\"Layers\" must be an array of strings");
        docker_fails("[{\"Config\":\"c\",\"Layers\":[\"1\",\"2\",\"3\"]}]", FAILURE_LIMIT, "3 layers, more than 2");
}

static void test_layout(void **state) {
        struct failure f = {};

        assert_int_equal(oci_layout_check("{\"imageLayoutVersion\":\"1.0.0\"}", 30, &f), 0);
        assert_true(oci_layout_check("{\"imageLayoutVersion\":\"2.0.0\"}", 30, &f) < 0);
        assert_failure(&f, FAILURE_UNSUPPORTED, "must be 1.x");
        assert_true(oci_layout_check("{}", 2, &f) < 0);
        assert_failure(&f, FAILURE_UNSUPPORTED, "must be 1.x");
}

static void test_limits(void **state) {
        json_t *object = json_pack("{s:i, s:I}", "entries", 5, "bytes", (json_int_t) INT64_MAX);
        struct failure f = {};
        struct limits l;

        assert_int_equal(limits_parse(NULL, &l, &f), 0);
        assert_int_equal(l.bytes, LIMIT_BYTES_DEFAULT);
        assert_int_equal(l.layers, LIMIT_LAYERS_DEFAULT);
        assert_int_equal(limits_parse(object, &l, &f), 0);
        assert_int_equal(l.entries, 5);
        assert_int_equal(l.bytes, LIMIT_BYTES_MAX);
        json_object_set_new(object, "entries", json_integer(0));
        assert_true(limits_parse(object, &l, &f) < 0);
        assert_failure(&f, FAILURE_SPEC, "limits.entries must be an integer of at least 1");
        json_object_set_new(object, "entries", json_string("1"));
        assert_true(limits_parse(object, &l, &f) < 0);
        assert_failure(&f, FAILURE_SPEC, "limits.entries");
        json_object_clear(object);
        json_object_set_new(object, "size", json_integer(1));
        assert_true(limits_parse(object, &l, &f) < 0);
        assert_failure(&f, FAILURE_SPEC, "limits.size is unknown");
        assert_int_equal(l.entries, 5);
        json_decref(object);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_manifest),
                cmocka_unit_test(test_manifest_refused),
                cmocka_unit_test(test_media_types_refused),
                cmocka_unit_test(test_layer_limit),
                cmocka_unit_test(test_index_limit),
                cmocka_unit_test(test_choose),
                cmocka_unit_test(test_reference_name),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_config_refused),
                cmocka_unit_test(test_config_size),
                cmocka_unit_test(test_docker),
                cmocka_unit_test(test_docker_refused),
                cmocka_unit_test(test_layout),
                cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
