/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Image references, registries, tags: whatever is taken apart can be put together again, and leads nowhere else. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What goes into URLs and arguments: no control, no space, no way up, no option. */
static void check_part(const char *part) {
        if (!part)
                return;
        if (!*part || *part == '-' || strpbrk(part, " \t\r\n\\\"'`$&;|<>?#%*"))
                abort();
        for (const char *p = part; *p; p++)
                if ((unsigned char) *p <= 0x20 || (unsigned char) *p >= 0x7f)
                        abort();
}

static void check_whole(const ImageReference *r, const char *reference) {
        g_autoptr(GString) s = g_string_new(NULL);

        if (r->registry)
                g_string_append_printf(s, "%s/", r->registry);
        g_string_append(s, r->path);
        if (r->tag && (!r->digest || strstr(reference, r->tag)))
                g_string_append_printf(s, ":%s", r->tag);
        if (r->digest)
                g_string_append_printf(s, "@%s", r->digest);
        /* "latest" may be ours. */
        if (strcmp(s->str, reference) != 0 && !(g_str_has_prefix(s->str, reference) && strcmp(r->tag, "latest") == 0))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        g_autofree char *text = g_strndup((const char *) data, size);
        g_autofree char *tag = NULL;
        ImageReference r = {};
        bool valid = image_reference_is_valid(text) && !digest_is_valid(text); /* that names an image without a reference */

        (void) registry_name_is_valid(text);
        if (digest_is_valid(text) && strlen(text) != strlen("sha256:") + 64)
                abort();
        if ((image_reference_split(text, &r) >= 0) != valid)
                abort();
        if (!valid)
                return 0;
        if (strlen(text) > IMAGE_REFERENCE_MAX)
                abort();
        check_part(r.registry);
        check_part(r.path);
        check_part(r.tag);
        if (r.path[0] == '/' || strstr(r.path, "//") || strstr(r.path, "..") || (r.registry && !registry_name_is_valid(r.registry)) ||
                (r.digest && !digest_is_valid(r.digest)))
                abort();
        check_whole(&r, text);
        tag = image_reference_tag(text);
        if (strcmp(tag, r.tag ?: "") != 0)
                abort();
        image_reference_clear(&r);
        return 0;
}
