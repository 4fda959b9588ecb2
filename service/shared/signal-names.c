/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the names of signals. */
#include "shared/signal-names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The kernel's numbers, also of the real-time signals: the C library's SIGRTMIN is one of its own. */
#define RTMIN 34
#define RTMAX 64

static const struct {
        const char *name;
        int number;
} table[] = {
        {"HUP", 1},
        {"INT", 2},
        {"QUIT", 3},
        {"ILL", 4},
        {"TRAP", 5},
        {"ABRT", 6},
        {"BUS", 7},
        {"FPE", 8},
        {"KILL", 9},
        {"USR1", 10},
        {"SEGV", 11},
        {"USR2", 12},
        {"PIPE", 13},
        {"ALRM", 14},
        {"TERM", 15},
        {"STKFLT", 16},
        {"CHLD", 17},
        {"CONT", 18},
        {"STOP", 19},
        {"TSTP", 20},
        {"TTIN", 21},
        {"TTOU", 22},
        {"URG", 23},
        {"XCPU", 24},
        {"XFSZ", 25},
        {"VTALRM", 26},
        {"PROF", 27},
        {"WINCH", 28},
        {"IO", 29},
        {"PWR", 30},
        {"SYS", 31},
};

const char signal_names[] = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP "
                            "TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMIN+1 to RTMIN+30 RTMAX";

/* RTMIN, RTMIN+n, RTMAX-n, RTMAX. */
static int realtime_from_name(const char *name) {
        bool up = strncasecmp(name, "RTMIN", 5) == 0;
        char *end;
        long n;

        if (!up && strncasecmp(name, "RTMAX", 5) != 0)
                return -EINVAL;
        name += 5;
        if (*name == 0)
                return up ? RTMIN : RTMAX;
        if (name[0] != (up ? '+' : '-') || name[1] < '0' || name[1] > '9')
                return -EINVAL;
        n = strtol(name + 1, &end, 10);
        if (*end != 0 || n > RTMAX - RTMIN)
                return -EINVAL;
        return up ? RTMIN + (int) n : RTMAX - (int) n;
}

int signal_from_name(const char *name) {
        if (strncasecmp(name, "SIG", 3) == 0)
                name += 3;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (strcasecmp(name, table[i].name) == 0)
                        return table[i].number;
        return realtime_from_name(name);
}

const char *signal_to_name(int number) {
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (table[i].number == number)
                        return table[i].name;
        return NULL;
}
