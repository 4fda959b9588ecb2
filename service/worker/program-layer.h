/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "worker/digest.h"
#include "worker/source.h"

/* What surrounds a lone program, and the layer that both of them make: a tar, the same for the same program under the
 * same path. */

struct program_directory {
        const char *path;
        mode_t mode;
};
extern const struct program_directory program_directories[]; /* parents first; ends with a NULL path */

struct program_text {
        const char *path, *text;
};
extern const struct program_text program_texts[]; /* likewise */

/* Takes the next piece of the tar. Negative errno. */
typedef int (*ProgramLayerSink)(const void *data, size_t len, void *user, struct failure *f);

/* path: without a leading slash. digest becomes that of the program's own bytes. */
int program_layer_write(const struct source *program, const char *path, ProgramLayerSink sink, void *user,
        char digest[DIGEST_TEXT_SIZE], struct failure *f);
