/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reading of what QEMU has used. */
#include "monitor/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/oom.h"
#include "shared/fd.h"

#define FILE_MAX 4096U

bool usage_parse_cpu_stat(const char *text, uint64_t *ret) {
        static const char key[] = "usage_usec ";

        return strncmp(text, key, sizeof key - 1) == 0 && sscanf(text + sizeof key - 1, "%" SCNu64, ret) == 1;
}

bool usage_parse_stat(const char *text, uint64_t *ret_ticks) {
        const char *rest = strrchr(text, ')'); /* behind the name, in which anything may be */
        uint64_t user, system;

        if (!rest ||
                sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system) != 2)
                return false;
        *ret_ticks = user + system;
        return true;
}

bool usage_parse_statm(const char *text, uint64_t *ret_pages) {
        return sscanf(text, "%*u %" SCNu64, ret_pages) == 1;
}

static char *read_proc(pid_t pid, const char *name) {
        _cleanup_close_ int fd = -1;
        char path[64], *text;

        (void) snprintf(path, sizeof path, "/proc/%d/%s", (int) pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && read_file(fd, FILE_MAX, &text, NULL) >= 0 ? text : NULL;
}

static bool read_cpu(pid_t pid, uint64_t *ret) {
        char *text = cgroup_read("cpu.stat");
        bool good = text && usage_parse_cpu_stat(text, ret);

        free(text);
        if (good)
                return true;
        text = read_proc(pid, "stat");
        good = text && usage_parse_stat(text, ret);
        if (good)
                *ret = *ret * 1000000U / (uint64_t) sysconf(_SC_CLK_TCK);
        free(text);
        return good;
}

void usage_read(pid_t pid, struct usage *ret) {
        char *text = read_proc(pid, "statm");
        uint64_t pages;

        *ret = (struct usage){};
        ret->has_cpu = read_cpu(pid, &ret->cpu);
        ret->has_memory = text && usage_parse_statm(text, &pages);
        if (ret->has_memory)
                ret->memory = pages * (uint64_t) sysconf(_SC_PAGESIZE);
        free(text);
}

static uint64_t number(const json_t *object, const char *key) {
        json_int_t v = json_integer_value(json_object_get(object, key));

        return v > 0 ? (uint64_t) v : 0;
}

void usage_sum_blocks(const json_t *devices, uint64_t *ret_read, uint64_t *ret_written) {
        size_t i;
        json_t *device;

        *ret_read = *ret_written = 0;
        json_array_foreach((json_t *) devices, i, device) {
                const json_t *stats = json_object_get(device, "stats");

                *ret_read += number(stats, "rd_bytes");
                *ret_written += number(stats, "wr_bytes");
        }
}
