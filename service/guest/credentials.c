/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parser of the credentials. */
#include "guest/credentials.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool name_is_valid(const char *name) {
        return name[0] && name[0] != '.' && strlen(name) <= 255 && !strchr(name, '/');
}

int credential_next(const uint8_t *data, size_t len, size_t *at, struct credential *ret) {
        const char *name = (const char *) data + *at;
        size_t left = len - *at, name_size;
        uint32_t size;

        if (left == 0)
                return 0;
        name_size = strnlen(name, left) + 1;
        if (name_size > left || left - name_size < sizeof(size) || !name_is_valid(name))
                return -EBADMSG;
        memcpy(&size, name + name_size, sizeof(size));
        size = le32toh(size);
        left -= name_size + sizeof(size);
        if (size > left)
                return -EBADMSG;
        *ret = (struct credential){
                .name = name, .value = (const uint8_t *) name + name_size + sizeof(size), .size = size};
        *at += name_size + sizeof(size) + size;
        return 1;
}
