/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes a program and its own libraries out of a root image. */
#include "worker/nanos-stage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LIBRARIES_MAX 512U /* of one program */
#define PATH_BYTES_MAX 4095U
#define LINKER_SIZE_MAX (16U << 20)
#define EXECUTABLE_NAME_MAX 128U

/* Where dynamic linkers look by themselves, glibc's and musl's. */
static const char *const default_directories[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64",
        "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib/x86_64-linux-gnu", "/usr/local/lib"};

static const char *variable(char **environment, const char *name) {
        size_t n = strlen(name);
        const char *found = NULL;

        for (char **e = environment; e && *e; e++)
                if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
                        found = *e + n + 1;
        return found;
}

/* ---- Files ---- */

static int make_directories(int dir, const char *path, int *ret_dir, const char **ret_name) {
        _cleanup_close_ int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const char *slash;

        while (at >= 0 && (slash = strchr(path, '/'))) {
                g_autofree char *name = g_strndup(path, (size_t) (slash - path));
                int next;

                path = slash + 1;
                if (!*name || strcmp(name, ".") == 0)
                        continue;
                if (strcmp(name, "..") == 0)
                        return -EINVAL;
                if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
                        return -errno;
                next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return -errno;
                (void) close_fd(at);
                at = next;
        }
        if (at < 0)
                return -errno;
        if (!*path || strcmp(path, ".") == 0 || strcmp(path, "..") == 0)
                return -EINVAL;
        *ret_dir = take_fd(&at);
        *ret_name = path;
        return 0;
}

int stage_create(struct stage *s, const char *path, struct failure *f) {
        _cleanup_close_ int dir = -1;
        const char *name = NULL;
        int fd, r;

        if (path[0] != '/' || !strchr(path + 1, '/'))
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED,
                        "\"%.200s\": in a Nanos image every file lies in a directory below the root", path);
        r = make_directories(s->tree, path + 1, &dir, &name);
        fd = r < 0 ? r : openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (r >= 0 && fd < 0)
                fd = -errno;
        return fd < 0 ? fail_errno(f, fd, "writing the staging tree") : fd;
}

static int count_bytes(struct stage *s, uint64_t n, struct failure *f) {
        if (n > s->bytes_max - MIN(s->bytes, s->bytes_max))
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "the program and its libraries have more than %" G_GUINT64_FORMAT " bytes", s->bytes_max);
        s->bytes += n;
        return 0;
}

static int copy(struct stage *s, struct root_file *file, int fd, struct failure *f) {
        int r;

        r = count_bytes(s, file->size, f);
        if (r >= 0) {
                r = root_file_copy(file, fd);
                if (r < 0)
                        r = fail_errno(f, r, "taking a file out of the image");
        }
        (void) close_fd(fd);
        return r;
}

/* A file of the image at its own path. */
static int take(struct stage *s, const char *path, struct root_file *file, struct failure *f) {
        int fd;

        if (g_hash_table_contains(s->taken, path))
                return 0;
        fd = stage_create(s, path, f);
        if (fd < 0)
                return fd;
        (void) g_hash_table_add(s->taken, g_strdup(path));
        return copy(s, file, fd, f);
}

/* ---- Volumes ---- */

struct volume {
        struct stage *stage;
        const char *path;
        struct failure *f;
};

static int take_directory(struct stage *s, const char *path, struct failure *f) {
        g_autofree char *inside = g_strconcat(path + 1, "/.", NULL);
        _cleanup_close_ int dir = -1;
        const char *name = NULL;
        int r = make_directories(s->tree, inside, &dir, &name);

        if (r < 0 && r != -EINVAL) /* it ends with the dot, when all is made */
                return failf(f, r, FAILURE_SPEC, "\"%.200s\": %s", path, g_strerror(-r));
        (void) g_hash_table_add(s->taken, g_strconcat(path, "/", NULL));
        return 0;
}

/* A volume lies over the program's own files, and a later one over an earlier. */
static void make_way(struct stage *s, const char *path) {
        if (g_hash_table_remove(s->taken, path))
                (void) unlinkat(s->tree, path + 1, 0);
}

static int visit_volume(const char *rel, struct root_file *file, void *userdata) {
        struct volume *v = userdata;
        g_autofree char *path = g_strconcat(v->path, *rel ? "/" : "", rel, NULL);

        if (!file)
                return take_directory(v->stage, path, v->f);
        make_way(v->stage, path);
        return take(v->stage, path, file, v->f);
}

int stage_volume(struct stage *s, struct root_reader *image, const char *place, const char *path, unsigned *left,
        struct failure *f) {
        struct volume v = {.stage = s, .path = path, .f = f};
        unsigned more;
        int r;

        if (path[0] != '/' || !path[1] || strstr(path, "//") || strlen(path) > PATH_BYTES_MAX)
                return failf(f, -EINVAL, FAILURE_SPEC, "\"%.200s\" is no path of a volume", path);
        r = root_reader_visit(image, place, visit_volume, &v, &more);
        *left += more;
        return r < 0 ? fail_errno(f, r, "taking a volume") : 0;
}

/* ---- Libraries ---- */

/* One entry of a search path; $ORIGIN is where the asking object lies. */
static char *expand(const char *entry, const char *origin) {
        g_autofree char *dir = g_path_get_dirname(origin);
        GString *out = g_string_new(entry);

        (void) g_string_replace(out, "${ORIGIN}", dir, 0);
        (void) g_string_replace(out, "$ORIGIN", dir, 0);
        return g_string_free(out, FALSE);
}

static bool try_path(struct stage *s, const char *path, char **ret_path, struct root_file **ret) {
        if (path[0] != '/' || strlen(path) > PATH_BYTES_MAX || root_reader_open(s->root, path, ret) < 0)
                return false;
        *ret_path = g_canonicalize_filename(path, "/");
        return true;
}

static bool try_list(struct stage *s, const char *list, const char *origin, const char *name, char **ret_path,
        struct root_file **ret) {
        g_auto(GStrv) entries = g_strsplit(list, ":", 64);

        for (char **e = entries; *e; e++) {
                g_autofree char *dir = expand(*e, origin), *path = g_strconcat(dir, "/", name, NULL);

                if (*dir && try_path(s, path, ret_path, ret))
                        return true;
        }
        return false;
}

static bool find_library(struct stage *s, const char *name, const char *origin, const char *search, char **ret_path,
        struct root_file **ret) {
        const char *from_environment = variable(s->environment, "LD_LIBRARY_PATH");

        if (strchr(name, '/'))
                return try_path(s, name, ret_path, ret);
        if (try_list(s, search, origin, name, ret_path, ret) ||
                (from_environment && try_list(s, from_environment, origin, name, ret_path, ret)))
                return true;
        for (size_t i = 0; i < G_N_ELEMENTS(default_directories); i++)
                if (try_list(s, default_directories[i], origin, name, ret_path, ret))
                        return true;
        return false;
}

typedef struct Object {
        char *path;
        struct elf_links links;
} Object;

static void object_free(void *p) {
        Object *o = p;

        g_free(o->path);
        elf_links_clear(&o->links);
        g_free(o);
}

/* One library that `by` needs, and what it needs itself behind the others. */
static int add_library(struct stage *s, const Object *by, const char *name, GPtrArray *objects, struct failure *f) {
        struct root_file *file = NULL;
        g_autofree char *path = NULL;
        Object *o;
        int r;

        if (!*name || !find_library(s, name, by->path, by->links.search, &path, &file))
                return failf(f, -ENOENT, FAILURE_UNSUPPORTED,
                        "\"%.200s\" needs the library \"%.100s\", which the image does not have", by->path, name);
        if (g_hash_table_contains(s->taken, path)) {
                (void) root_file_free(file);
                return 0;
        }
        o = g_new0(Object, 1);
        o->path = g_strdup(path);
        r = objects->len >= LIBRARIES_MAX
                    ? failf(f, -E2BIG, FAILURE_LIMIT, "the program needs more than %u libraries", LIBRARIES_MAX)
                    : elf_read_links(&file->elf, s->architecture, true, &o->links, f);
        if (r >= 0)
                r = take(s, path, file, f);
        if (r >= 0)
                g_ptr_array_add(objects, o);
        else
                object_free(o);
        (void) root_file_free(file);
        return r;
}

static int add_libraries(struct stage *s, GPtrArray *objects, struct failure *f) {
        for (guint i = 0; i < objects->len; i++) {
                Object *o = objects->pdata[i];

                if (o->links.total > ELF_NEEDED_MAX)
                        return failf(f, -E2BIG, FAILURE_LIMIT, "\"%.200s\" needs more than %u libraries", o->path,
                                ELF_NEEDED_MAX);
                for (guint k = 0; k < o->links.needed->len; k++) {
                        int r = add_library(s, o, o->links.needed->pdata[k], objects, f);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* ---- The program ---- */

static int open_program(
        struct stage *s, const char *name, const char *workdir, struct root_file **ret, struct failure *f) {
        g_autofree char *path = NULL;
        int r = -ENOENT;

        if (strchr(name, '/')) {
                path = g_canonicalize_filename(name, *workdir == '/' ? workdir : "/");
                r = root_reader_open(s->root, path, ret);
        } else {
                const char *list = variable(s->environment, "PATH");
                g_auto(GStrv) directories = g_strsplit(list && *list ? list : DEFAULT_PATH, ":", 64);

                for (char **d = directories; *d && r < 0; d++) {
                        g_free(path);
                        path = g_strconcat(**d == '/' ? *d : "/", "/", name, NULL);
                        r = root_reader_open(s->root, path, ret);
                }
        }
        if (r < 0)
                return failf(
                        f, r, FAILURE_UNSUPPORTED, "the image has no program \"%.200s\": %s", name, g_strerror(-r));
        s->program = g_canonicalize_filename(path, "/");
        return 0;
}

/* glibc's has the option since 2.33, musl's since 1.1.5. */
static bool linker_takes_argv0(struct root_file *linker) {
        g_autofree char *data = NULL;

        if (linker->size > LINKER_SIZE_MAX)
                return false;
        data = g_malloc(linker->size);
        return root_file_read(linker, 0, data, linker->size) >= 0 &&
               memmem(data, linker->size, "--argv0", sizeof "--argv0");
}

/* The linker must be what ops does not run: static, without an interpreter of its own. */
static int check_linker(struct stage *s, const char *path, struct root_file *linker, struct failure *f) {
        struct elf_links links = {};
        int r;

        r = elf_read_links(&linker->elf, s->architecture, false, &links, f);
        if (r >= 0 && elf_is_dynamic(&links))
                r = failf(f, -ENOEXEC, FAILURE_UNSUPPORTED, "the interpreter \"%.200s\" is no dynamic linker", path);
        elf_links_clear(&links);
        return r;
}

static void add_arg(struct stage *s, const char *arg) {
        g_ptr_array_add(s->args, g_strdup(arg));
}

static int stage_linker(struct stage *s, const char *path, const char *argv0, struct failure *f) {
        struct root_file *linker = NULL;
        g_autofree char *plain = NULL;
        int r;

        r = path[0] == '/' && strlen(path) <= PATH_BYTES_MAX ? root_reader_open(s->root, path, &linker) : -ENOENT;
        if (r < 0)
                return failf(f, r, FAILURE_UNSUPPORTED, "the program wants the interpreter \"%.200s\": %s", path,
                        g_strerror(-r));
        plain = g_canonicalize_filename(path, "/");
        r = check_linker(s, plain, linker, f);
        if (r >= 0)
                r = take(s, plain, linker, f);
        if (r >= 0) {
                s->executable = g_strdup(plain + 1);
                if (linker_takes_argv0(linker)) {
                        add_arg(s, "--argv0");
                        add_arg(s, argv0);
                }
                add_arg(s, s->program);
        }
        (void) root_file_free(linker);
        return r;
}

static int stage_dynamic(
        struct stage *s, struct root_file *file, struct elf_links *links, const char *argv0, struct failure *f) {
        g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func(object_free);
        struct root_file *cache = NULL;
        Object *o;
        int r;

        if (!links->interpreter)
                return failf(f, -ENOEXEC, FAILURE_UNSUPPORTED, "\"%.200s\" needs libraries and names no dynamic linker",
                        s->program);
        s->dynamic = true;
        r = stage_linker(s, links->interpreter, argv0, f);
        if (r >= 0)
                r = take(s, s->program, file, f);
        if (r < 0)
                return r;
        o = g_new0(Object, 1);
        o->path = g_strdup(s->program);
        o->links = *links;
        *links = (struct elf_links){};
        g_ptr_array_add(objects, o);
        r = add_libraries(s, objects, f);
        if (r >= 0 && root_reader_open(s->root, "/etc/ld.so.cache", &cache) >= 0)
                r = take(s, "/etc/ld.so.cache", cache, f);
        (void) root_file_free(cache);
        return r;
}

/* Beside the tree: ops itself puts it into the image. Its name is the last part of its path, as far as that is
 * harmless. */
static int stage_static(struct stage *s, struct root_file *file, struct failure *f) {
        g_autofree char *name = g_path_get_basename(s->program);
        int fd;

        if (strlen(name) > EXECUTABLE_NAME_MAX ||
                strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-") != strlen(name) ||
                name[0] == '-' || name[0] == '.') {
                g_free(name);
                name = g_strdup("program");
        }
        fd = openat(s->program_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
        if (fd < 0)
                return fail_errno(f, -errno, "writing the staging tree");
        s->executable = g_steal_pointer(&name);
        return copy(s, file, fd, f);
}

static int check_script(const struct stage *s, struct root_file *file, struct failure *f) {
        char head[2];

        if (file->size < sizeof head || root_file_read(file, 0, head, sizeof head) < 0 || memcmp(head, "#!", 2) != 0)
                return 0;
        return failf(f, -ENOEXEC, FAILURE_UNSUPPORTED,
                "\"%.200s\" is a script: Nanos runs one program and no interpreter beside it; use target linux",
                s->program);
}

int stage_program(struct stage *s, char **argv, const char *workdir, struct failure *f) {
        struct elf_links links = {};
        struct root_file *file = NULL;
        int r;

        s->args = g_ptr_array_new_with_free_func(g_free);
        s->taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        if (!argv || !argv[0] || !*argv[0])
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED,
                        "the image names no program (Entrypoint, Cmd), and neither does Command");
        r = open_program(s, argv[0], workdir ?: "/", &file, f);
        if (r >= 0)
                r = check_script(s, file, f);
        if (r >= 0)
                r = elf_read_links(&file->elf, s->architecture, false, &links, f);
        if (r >= 0)
                r = elf_is_dynamic(&links) ? stage_dynamic(s, file, &links, argv[0], f) : stage_static(s, file, f);
        for (char **a = argv + 1; r >= 0 && *a; a++)
                add_arg(s, *a);
        elf_links_clear(&links);
        (void) root_file_free(file);
        return r;
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

char **stage_directories(const struct stage *s) {
        g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        GPtrArray *list = g_ptr_array_new();
        GHashTableIter iter;
        gpointer key;

        g_hash_table_iter_init(&iter, s->taken);
        while (g_hash_table_iter_next(&iter, &key, NULL)) {
                const char *path = (const char *) key + 1;

                (void) g_hash_table_add(names, g_strndup(path, strcspn(path, "/")));
        }
        g_hash_table_iter_init(&iter, names);
        while (g_hash_table_iter_next(&iter, &key, NULL))
                g_ptr_array_add(list, g_strdup(key));
        g_ptr_array_sort(list, compare);
        g_ptr_array_add(list, NULL);
        return (char **) g_ptr_array_free(list, FALSE);
}

void stage_clear(struct stage *s) {
        g_free(s->program);
        g_free(s->executable);
        if (s->args)
                g_ptr_array_unref(s->args);
        if (s->taken)
                g_hash_table_unref(s->taken);
        s->program = s->executable = NULL;
        s->args = NULL;
        s->taken = NULL;
}
