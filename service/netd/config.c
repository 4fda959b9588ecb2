/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/fd.h"
#include "shared/log.h"

#define SPACE " \t\r"
#define PATTERN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-*?"

void config_defaults(struct config *c) {
        *c = (struct config){.managed = {.n = 1, .items = {"mcp-br*"}}};
}

/* An empty value empties the list, as in systemd's files; every other one replaces it. */
static int parse_patterns(struct patterns *p, char *value, const char **ret_reason) {
        struct patterns parsed = {};
        char *rest = value;

        for (char *word; (word = strsep(&rest, SPACE));) {
                if (*word == 0)
                        continue;
                *ret_reason = "a pattern has up to 31 of [A-Za-z0-9_.-*?]";
                if (strlen(word) >= CONFIG_PATTERN_SIZE || strspn(word, PATTERN_CHARACTERS) != strlen(word))
                        return -EINVAL;
                *ret_reason = "up to 32 patterns are accepted";
                if (parsed.n == CONFIG_PATTERNS_MAX)
                        return -EINVAL;
                strcpy(parsed.items[parsed.n++], word);
        }
        *p = parsed;
        return 0;
}

static char *strip(char *text) {
        size_t len;

        text += strspn(text, SPACE);
        len = strlen(text);
        while (len > 0 && strchr(SPACE, text[len - 1]))
                text[--len] = 0;
        return text;
}

static int parse_line(struct config *c, char *line, const char **ret_reason) {
        char *value;

        line = strip(line);
        if (*line == 0 || *line == '#' || *line == ';')
                return 0;
        if (*line == '[') {
                *ret_reason = "the only section is [Netd]";
                return strcmp(line, "[Netd]") == 0 ? 0 : -EINVAL;
        }
        value = strchr(line, '=');
        *ret_reason = "KEY=VALUE is expected";
        if (!value)
                return -EINVAL;
        *value++ = 0;
        line = strip(line);
        if (strcmp(line, "ManagedBridges") == 0)
                return parse_patterns(&c->managed, value, ret_reason);
        if (strcmp(line, "AllowBridges") == 0)
                return parse_patterns(&c->allowed, value, ret_reason);
        *ret_reason = "the keys are ManagedBridges and AllowBridges";
        return -EINVAL;
}

int config_parse(struct config *c, const char *text, char *ret_error, size_t size) {
        struct config parsed = *c;
        const char *reason = NULL;
        char *copy, *rest;
        unsigned number = 0;
        int r = 0;

        copy = rest = strdup(text);
        if (!copy)
                return -ENOMEM;
        for (char *line; r >= 0 && (line = strsep(&rest, "\n"));) {
                number++;
                r = parse_line(&parsed, line, &reason);
        }
        free(copy);
        if (r < 0)
                (void) snprintf(ret_error, size, "line %u: %s", number, reason);
        else
                *c = parsed;
        return r;
}

static int load_file(struct config *c, const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        char error[128], *text;
        int r;

        if (fd < 0) {
                if (errno == ENOENT)
                        return 0;
                r = -errno;
                log_error("%s: %s", path, strerror(-r));
                return r;
        }
        r = read_file(fd, CONFIG_FILE_MAX, &text, NULL);
        if (r < 0) {
                log_error("%s: %s", path, strerror(-r));
                return r;
        }
        r = config_parse(c, text, error, sizeof error);
        free(text);
        if (r < 0)
                log_error("%s: %s", path, r == -ENOMEM ? strerror(ENOMEM) : error);
        return r;
}

static int is_drop_in(const struct dirent *entry) {
        const char *dot = strrchr(entry->d_name, '.');

        return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

/* No fault of the files, and over soon. */
static bool passes(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

int config_load(struct config *c, const char *path) {
        char directory[PATH_MAX - NAME_MAX - 1], file[PATH_MAX];
        struct dirent **entries;
        int n, r;

        r = load_file(c, path);
        if (snprintf(directory, sizeof directory, "%s.d", path) >= (int) sizeof directory)
                r = -ENAMETOOLONG;
        n = scandir(directory, &entries, is_drop_in, alphasort);
        if (n < 0 && errno != ENOENT && r >= 0) {
                r = -errno;
                log_error("%s: %s", directory, strerror(-r));
        }
        for (int i = 0; i < n; i++) {
                (void) snprintf(file, sizeof file, "%s/%s", directory, entries[i]->d_name);
                if (r >= 0)
                        r = load_file(c, file);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
        if (r < 0)
                *c = (struct config){.broken = true};
        return passes(r) ? r : 0;
}

bool patterns_match(const struct patterns *p, const char *name) {
        for (size_t i = 0; i < p->n; i++)
                if (fnmatch(p->items[i], name, FNM_NOESCAPE) == 0)
                        return true;
        return false;
}
