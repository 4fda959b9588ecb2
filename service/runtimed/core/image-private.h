/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/image.h"

/* Between image.c and image-import.c. */
json_t *image_to_json(const Image *i);
int image_from_json(Runtime *rt, uint32_t owner, const char *hex, json_t *object, Image **ret);
int image_add_reference(Image *i, const char *reference);
