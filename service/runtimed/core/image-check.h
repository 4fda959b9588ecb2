/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/image.h"
#include "core/waiter.h"

/*
 * Whether root images are what was stored. A file with the stamp it was verified with counts as that; any other is
 * hashed by a worker first, and is refused with DigestMismatch where the digest is another one. Damage that leaves the
 * stamp alone is found by image_verify(), which hashes whatever the stamp says.
 */

/* The stored root image, read-only, or a negative errno. *ret_sound: it has the stamp it was verified with. */
int image_open(const Image *i, bool *ret_sound);
bool image_is_sound(const Image *i);

/* Before a boot: done once the file behind fd (borrowed) is known to be what was stored, or with DigestMismatch. *ret is
 * NULL when done was called at once. Several may wait for one hash. */
void image_ensure(Image *i, int fd, WaiterDone done, void *userdata, Waiter **ret);
/* The file behind fd (borrowed) was verified meanwhile: DigestMismatch where the image is another one by now, or has
 * gone (NULL). */
int image_check_kept(const Image *i, int fd, Problem **ret_problem);
/* After a waiter was canceled: ends hashes that nobody waits for. */
void image_drop_unwanted(Runtime *rt);

/* A job that hashes the root image. */
int image_verify(Image *i, uint32_t caller, Job **ret, Problem **ret_problem);

/* For image.c: who still waits is told that the image is gone. */
typedef struct ImageCheck ImageCheck;
void image_check_free(ImageCheck *check);
