/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which media types are read, and as what. */
#include "unit.h"

#include <string.h>

#include "worker/media-type.h"

static void test_known(void **state) {
        assert_int_equal(media_kind("application/vnd.oci.image.index.v1+json"), MEDIA_INDEX);
        assert_int_equal(media_kind("application/vnd.docker.distribution.manifest.list.v2+json"), MEDIA_INDEX);
        assert_int_equal(media_kind("application/vnd.oci.image.manifest.v1+json"), MEDIA_MANIFEST);
        assert_int_equal(media_kind("application/vnd.docker.distribution.manifest.v2+json"), MEDIA_MANIFEST);
        assert_int_equal(media_kind("application/vnd.oci.image.config.v1+json"), MEDIA_CONFIG);
        assert_int_equal(media_kind("application/vnd.docker.container.image.v1+json"), MEDIA_CONFIG);
        assert_int_equal(media_kind("application/vnd.oci.image.layer.v1.tar"), MEDIA_LAYER);
        assert_int_equal(media_kind("application/vnd.oci.image.layer.v1.tar+gzip"), MEDIA_LAYER);
        assert_int_equal(media_kind("application/vnd.oci.image.layer.v1.tar+zstd"), MEDIA_LAYER);
        assert_int_equal(media_kind("application/vnd.docker.image.rootfs.diff.tar.gzip"), MEDIA_LAYER);
        assert_int_equal(media_kind("application/vnd.oci.image.layer.nondistributable.v1.tar"), MEDIA_FOREIGN);
}

static void test_unknown(void **state) {
        /* Schema 1, encrypted layers, artifacts; and nothing is matched by its beginning. */
        static const char *const types[] = {"", "application/vnd.docker.distribution.manifest.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "application/vnd.oci.empty.v1+json",
                "application/vnd.oci.image.layer.v1.ta", "APPLICATION/VND.OCI.IMAGE.LAYER.V1.TAR"};

        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
                assert_int_equal(media_kind(types[i]), MEDIA_UNKNOWN);
}

static void test_accepted(void **state) {
        assert_non_null(strstr(media_kind_accepted(MEDIA_LAYER), "tar+zstd"));
        assert_non_null(strstr(media_kind_accepted(MEDIA_CONFIG), "config"));
        assert_non_null(strstr(media_kind_accepted(MEDIA_MANIFEST), "manifest"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_accepted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
