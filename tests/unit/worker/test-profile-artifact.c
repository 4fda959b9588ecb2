/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of profiles in registries: ours, those of other tools, and everything that one must not be. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "shared/artifact-type.h"
#include "shared/profile-path.h"
#include "worker/artifact.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BLOB(type, size) "{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX "\",\"size\":" size "}"
#define TYPE "\"artifactType\":\"" ARTIFACT_PROFILE "\""
#define CONFIG "\"config\":" BLOB(ARTIFACT_PROFILE_CONFIG, "70")
#define EMPTY "\"config\":" BLOB("application/vnd.oci.empty.v1+json", "2")
#define LAYERS "\"layers\":[" BLOB(ARTIFACT_PROFILE_LAYER, "5") "]"

static struct artifact parse(const char *text) {
        struct artifact a;
        struct failure f = {};

        if (artifact_parse(&artifact_profile, text, strlen(text), &a, &f) < 0)
                fail_msg("%s: %s", f.name, f.message);
        return a;
}

static void refuse(const char *text, const char *error, const char *part) {
        struct artifact a = {.layer.size = 77};
        struct failure f = {};

        assert_true(artifact_parse(&artifact_profile, text, strlen(text), &a, &f) < 0);
        assert_int_equal(a.layer.size, 77);
        assert_failure(&f, error, part);
}

static void test_taken(void **state) {
        struct artifact a = parse("{" TYPE "," CONFIG "," LAYERS ",\"annotations\":{\"x\":\"y\"}}");

        assert_true(a.described);
        assert_int_equal(a.config.size, 70);
        assert_int_equal(a.layer.size, 5);
        assert_string_equal(a.layer.digest, "sha256:" HEX);
        assert_false(parse("{" TYPE "," EMPTY "," LAYERS "}").described);
        assert_true(parse("{" CONFIG "," LAYERS "}").described); /* tools that know no artifactType */
        assert_false(
                parse("{" TYPE "," EMPTY ",\"layers\":[" BLOB(ARTIFACT_PROFILE_LAYER "+zstd", "5") "]}").described);
}

static void test_printed(void **state) {
        struct artifact a = {.described = true, .config.size = 70, .layer.size = 5}, again;
        char *one, *two;

        strcpy(a.config.digest, "sha256:" HEX);
        strcpy(a.layer.digest, "sha256:" HEX);
        one = artifact_print(&artifact_profile, &a, "kvm-linux", "9.1.0");
        again = parse(one);
        two = artifact_print(&artifact_profile, &again, "kvm-linux", "9.1.0");
        assert_string_equal(one, two);
        assert_non_null(strstr(one, "\"org.opencontainers.image.version\":\"9.1.0\""));
        free(one);
        free(two);
        one = artifact_print(&artifact_profile, &a, "kvm-linux", "");
        assert_non_null(one);
        assert_null(strstr(one, "version\":\"\""));
        free(one);
}

static void test_refused(void **state) {
        refuse("", FAILURE_UNSUPPORTED, "JSON");
        refuse("[]", FAILURE_UNSUPPORTED, "must be an object");
        refuse("{" TYPE "," LAYERS "}", FAILURE_UNSUPPORTED, "config");
        refuse("{" TYPE "," CONFIG "}", FAILURE_UNSUPPORTED, "layers");
        refuse("{" EMPTY "," LAYERS "}", FAILURE_UNSUPPORTED, "artifactType");
        refuse("{\"artifactType\":\"a/b\"," CONFIG "," LAYERS "}", FAILURE_UNSUPPORTED, "artifactType is \"a/b\"");
        refuse("{\"artifactType\":7," CONFIG "," LAYERS "}", FAILURE_UNSUPPORTED, "artifactType");
        refuse("{" TYPE ",\"config\":" BLOB("application/vnd.oci.image.config.v1+json", "2") "," LAYERS "}",
                FAILURE_UNSUPPORTED, "media type of config");
        refuse("{" TYPE "," CONFIG ",\"layers\":[]}", FAILURE_UNSUPPORTED, "0 layers");
        refuse("{" TYPE "," CONFIG
               ",\"layers\":[" BLOB(ARTIFACT_PROFILE_LAYER, "5") "," BLOB(ARTIFACT_PROFILE_LAYER, "5") "]}",
                FAILURE_UNSUPPORTED, "2 layers");
        refuse("{" TYPE "," CONFIG ",\"layers\":[\"x\"]}", FAILURE_UNSUPPORTED, "descriptor");
        refuse("{" TYPE "," CONFIG ",\"layers\":[" BLOB("application/vnd.oci.image.layer.v1.tar", "5") "]}",
                FAILURE_UNSUPPORTED, "media type of the layer");
        refuse("{" TYPE "," CONFIG ",\"layers\":[" BLOB(ARTIFACT_PROFILE_LAYER, "-5") "]}", FAILURE_UNSUPPORTED,
                "negative");
        refuse("{" TYPE "," CONFIG ",\"layers\":[" BLOB(ARTIFACT_PROFILE_LAYER, "9000000000") "]}", FAILURE_LIMIT,
                "9000000000");
        refuse("{" TYPE ",\"config\":" BLOB(ARTIFACT_PROFILE_CONFIG, "16777217") "," LAYERS "}", FAILURE_LIMIT,
                "16777217");
        refuse("{" TYPE ",\"config\":{\"mediaType\":\"" ARTIFACT_PROFILE_CONFIG
               "\",\"digest\":\"sha256:../../x\",\"size\":1}," LAYERS "}",
                FAILURE_UNSUPPORTED, "digest");
        refuse("{" TYPE "," TYPE "," CONFIG "," LAYERS "}", FAILURE_UNSUPPORTED, "duplicate");
}

/* A disk's is no profile's, and the other way round; its configuration cannot be empty. */
static void test_kinds(void **state) {
        static const char disk[] = "{\"config\":" BLOB(ARTIFACT_NANOS_CONFIG, "160") ",\"layers\":[" BLOB(
                ARTIFACT_NANOS_LAYER, "5") "]}";
        static const char empty[] = "{\"artifactType\":\"" ARTIFACT_NANOS "\"," EMPTY ",\"layers\":[" BLOB(
                ARTIFACT_NANOS_LAYER, "5") "]}";
        static const char *const others[] = {empty, "{" TYPE "," CONFIG "," LAYERS "}"};
        struct failure f = {};
        struct artifact a;

        assert_int_equal(artifact_parse(&artifact_nanos, disk, strlen(disk), &a, &f), 0);
        refuse(disk, FAILURE_UNSUPPORTED, "media type of config");
        for (size_t i = 0; i < 2; i++) {
                assert_true(artifact_parse(&artifact_nanos, others[i], strlen(others[i]), &a, &f) < 0);
                assert_failure(&f, FAILURE_UNSUPPORTED, "media type of config");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_taken),
                cmocka_unit_test(test_printed),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_kinds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
