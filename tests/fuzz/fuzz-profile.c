/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of profiles, whatever they claim to be. */
#include <stdlib.h>
#include <string.h>

#include "worker/profile-manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was taken keeps to the rules, and is taken again as it is printed. */
static void check(const profile_manifest *m) {
        g_autoptr(profile_manifest) again = NULL;
        json_t *summary = profile_manifest_summary(m);
        char *text = profile_manifest_print(m);
        struct failure f = {};

        if (!summary || !text || m->entries->len == 0 || m->entries->len > PROFILE_OBJECTS_MAX)
                abort();
        for (guint i = 0; i < m->entries->len; i++) {
                const profile_entry *e = m->entries->pdata[i];

                if (!profile_path_is_valid(e->path) || !profile_hash_is_valid(e->hash))
                        abort();
        }
        if (profile_manifest_parse(text, strlen(text), &again, &f) < 0 || again->entries->len != m->entries->len)
                abort();
        failure_clear(&f);
        free(text);
        json_decref(summary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        g_autoptr(profile_manifest) m = NULL;
        struct failure f = {};
        int r = profile_manifest_parse((const char *) data, size, &m, &f);

        if ((r < 0) != (f.name != NULL) || (r < 0) != (m == NULL))
                abort();
        if (m)
                check(m);
        failure_clear(&f);
        return 0;
}
