/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sanitizer-canary KIND: does what a sanitizer must report. `sanitize canaries` starts it in the sandbox of each unit, because
 * one that says nothing may have been unable to look. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than one: a pointer to the last may still lie about on the stack. */
__attribute__((noinline)) static void leak(void) {
        char *volatile lost;

        for (int i = 0; i < 10; i++)
                lost = malloc(77);
        (void) lost;
}

__attribute__((noinline)) static void use_after_free(void) {
        char *volatile gone = calloc(1, 8);

        free(gone);
        (void) printf("%d\n", gone[1]);
}

__attribute__((noinline)) static void overflow(void) {
        volatile int number = INT_MAX;

        number = number + 1;
}

int main(int argc, char *argv[]) {
        const char *kind = argc == 2 ? argv[1] : "";

        if (strcmp(kind, "leak") == 0)
                leak();
        else if (strcmp(kind, "address") == 0)
                use_after_free();
        else if (strcmp(kind, "undefined") == 0)
                overflow();
        else
                return fprintf(stderr, "usage: sanitizer-canary leak|address|undefined\n"), 2;
        return EXIT_SUCCESS;
}
