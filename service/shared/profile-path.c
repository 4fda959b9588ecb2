/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pure checks of names in a store of profiles. */
#include "shared/profile-path.h"

#include <limits.h>
#include <string.h>

#define HEX "0123456789abcdef"
#define REF_HEX_MIN 8U
#define SUFFIX ".json"

static bool part_is_valid(const char *part, size_t len) {
        if (len == 0 || len > NAME_MAX)
                return false;
        return !(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')));
}

bool profile_path_is_valid(const char *path) {
        size_t n = strlen(path);
        unsigned depth = 0;

        if (n == 0 || n > PROFILE_PATH_BYTES_MAX)
                return false;
        for (const char *p = path; *p; p++)
                if ((unsigned char) *p < 0x20 || (unsigned char) *p >= 0x7f)
                        return false;
        for (const char *p = path;; p++) {
                size_t len = strcspn(p, "/");

                if (!part_is_valid(p, len) || ++depth > PROFILE_PATH_DEPTH_MAX)
                        return false;
                p += len;
                if (!*p)
                        return true;
        }
}

bool profile_hash_is_valid(const char *hash) {
        return strlen(hash) == PROFILE_HASH_LENGTH && strspn(hash, HEX) == PROFILE_HASH_LENGTH;
}

bool profile_ref_is_of(const char *file, const char *name) {
        size_t n = strlen(name), hex;

        if (strncmp(file, name, n) != 0 || file[n] != '-')
                return false;
        hex = strspn(file + n + 1, HEX);
        return hex >= REF_HEX_MIN && hex <= PROFILE_HASH_LENGTH && strcmp(file + n + 1 + hex, SUFFIX) == 0;
}

static bool begins(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool profile_path_is_loader(const char *path) {
        return !strchr(path + strcspn(path, "/") + (strchr(path, '/') != NULL), '/') &&
               (begins(path, "lib/ld-linux") || begins(path, "lib/ld-musl-") || begins(path, "lib/ld64.so"));
}

bool profile_path_is_executable(const char *path) {
        return begins(path, "bin/") || profile_path_is_loader(path);
}
