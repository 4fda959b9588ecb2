/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs `ops build` on a staging tree, with a home of its own that needs no network, and believes nothing but the file.
 */
#include "worker/nanos.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "shared/confined-open.h"
#include "shared/fd.h"
#include "worker/nanos-stage.h"
#include "worker/ops-config.h"
#include "worker/ops-output.h"
#include "worker/ops-run.h"

#define NAME "guest" /* of the image: ops cuts at the first dot, and keeps [A-Za-z0-9_-] */
#define CONFIG "mcp-ops.json"
#define VERSION_MAX 64U
#define COPY_CHUNK (1U << 20)
#define TIMEOUT_MAX (3600ULL * G_USEC_PER_SEC)

struct build {
        struct job *job;
        struct stage stage;
        char **argv, **environment;
        const char *ops, *home; /* of the launch message */
        uint64_t timeout, bytes_max;
        char *base; /* everything below it is this job's and goes with it */
        int dir;    /* of base */
        bool old;   /* ops did not know the keys of today */
};

/* ---- What the job says ---- */

static char **get_strings(const struct build *b, const char *key) {
        const json_t *array = json_object_get(b->job->launch, key);
        GPtrArray *list = g_ptr_array_new();
        json_t *item;
        size_t i;

        json_array_foreach((json_t *) array, i, item) if (json_is_string(item))
                g_ptr_array_add(list, g_strdup(json_string_value(item)));
        g_ptr_array_add(list, NULL);
        return (char **) g_ptr_array_free(list, FALSE);
}

static int parse(struct build *b, struct failure *f) {
        json_int_t timeout = json_integer_value(json_object_get(b->job->launch, "timeout"));
        json_int_t bytes = json_integer_value(json_object_get(b->job->launch, "bytes"));

        b->argv = get_strings(b, "argv");
        b->environment = get_strings(b, "env");
        b->ops = job_string(b->job, "ops");
        b->home = job_string(b->job, "home");
        b->stage.architecture = job_string(b->job, "architecture") ?: "";
        b->stage.environment = b->environment;
        b->stage.bytes_max = b->bytes_max = (uint64_t) bytes;
        b->timeout = (uint64_t) timeout;
        if (!b->ops || b->ops[0] != '/' || !b->home || b->home[0] != '/' || bytes <= 0 || timeout <= 0 ||
                b->timeout > TIMEOUT_MAX)
                return failf(f, -EINVAL, FAILURE_SPEC, "a nanos job needs ops, home, bytes and timeout");
        return 0;
}

/* ---- A place of its own ---- */

static int make_base(struct build *b, struct failure *f) {
        static const char *const directories[] = {"root", "program", "tmp", "home", "home/.ops", "home/.ops/images"};
        g_autofree char *template = g_strdup("/tmp/nanos-XXXXXX");

        if (!mkdtemp(template))
                return fail_errno(f, -errno, "making the job's directory");
        b->base = g_steal_pointer(&template);
        b->dir = open(b->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; b->dir >= 0 && i < G_N_ELEMENTS(directories); i++)
                if (mkdirat(b->dir, directories[i], 0700) < 0)
                        return fail_errno(f, -errno, "making the job's directory");
        b->stage.tree = openat(b->dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        b->stage.program_dir = openat(b->dir, "program", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b->dir < 0 || b->stage.tree < 0 || b->stage.program_dir < 0)
                return fail_errno(f, -errno, "making the job's directory");
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) remove(path);
        return 0;
}

static bool version_is_plain(const char *v) {
        size_t n = strlen(v);

        return n > 0 && n <= VERSION_MAX && v[0] != '.' &&
               strspn(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static int home_missing(const struct build *b, const char *what, struct failure *f) {
        return failf(f, -ENOENT, FAILURE_TOOL,
                "OpsHome= in runtime.conf: %s/.ops/%s cannot be read; it must be the home of an ops that has "
                "fetched its release once (latest.txt, VERSION/, common.tar.gz), readable for everybody",
                b->home, what);
}

static int link_entry(const struct build *b, const char *name, const char *must_have, struct failure *f) {
        g_autofree char *target = g_strdup_printf("%s/.ops/%s", b->home, name);
        g_autofree char *link = g_strdup_printf("home/.ops/%s", name);
        g_autofree char *probe = g_strconcat(target, must_have, NULL);

        if (access(probe, R_OK) < 0)
                return home_missing(b, name, f);
        return symlinkat(target, b->dir, link) < 0 ? fail_errno(f, -errno, "making the home of ops") : 0;
}

/* The release is only read, by links; images are never taken over. */
static int make_home(struct build *b, struct failure *f) {
        g_autofree char *path = g_strdup_printf("%s/.ops/latest.txt", b->home), *version = NULL;
        int r;

        if (!g_file_get_contents(path, &version, NULL, NULL) || !version_is_plain(g_strstrip(version)))
                return home_missing(b, "latest.txt", f);
        r = link_entry(b, version, "/kernel.img", f);
        if (r >= 0)
                r = link_entry(b, "common.tar.gz", "", f);
        if (r >= 0) {
                _cleanup_close_ int fd =
                        openat(b->dir, "home/.ops/latest.txt", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

                if (fd < 0 || write_all(fd, version, strlen(version)) < 0)
                        r = fail_errno(f, -EIO, "making the home of ops");
        }
        return r;
}

/* "mounts" names places of the images "volumes" and "archives", and where the guest finds them; those above come first.
 */
static int stage_mounts(struct build *b, struct failure *f) {
        static const char *const names[] = {"volumes", "archives"};
        const json_t *mounts = json_object_get(b->job->launch, "mounts");
        struct root_reader *images[G_N_ELEMENTS(names)] = {};
        unsigned left = 0;
        int r = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(names) && r >= 0; i++)
                if (job_fd(b->job, names[i]) >= 0)
                        r = root_reader_new(job_fd(b->job, names[i]), &images[i], f);
        for (size_t i = 0; i < json_array_size(mounts) && r >= 0; i++) {
                const char *image = NULL, *place = NULL, *path = NULL;
                json_t *mount = json_array_get(mounts, i);
                size_t k = 0;

                if (json_unpack(mount, "{s:s, s:s, s:s}", "image", &image, "place", &place, "path", &path) >= 0)
                        while (k < G_N_ELEMENTS(names) && strcmp(image, names[k]) != 0)
                                k++;
                r = !path || k == G_N_ELEMENTS(names) || !images[k]
                            ? failf(f, -EINVAL, FAILURE_SPEC, "mount %zu names no image of the job", i)
                            : stage_volume(&b->stage, images[k], place, path, &left, f);
        }
        if (left > 0)
                job_log(b->job, LOG_WARNING, "%u links and special files of volumes were left out", left);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                (void) root_reader_free(images[i]);
        return r;
}

static int write_config(struct build *b, struct failure *f) {
        g_auto(GStrv) directories = stage_directories(&b->stage);
        g_autoptr(GPtrArray) args = g_ptr_array_new();
        struct ops_config c = {.environment = b->environment,
                .directories = directories,
                .address = job_string(b->job, "address"),
                .gateway = job_string(b->job, "gateway"),
                .bytes = b->stage.bytes};
        _cleanup_close_ int fd = -1;
        json_t *config = NULL;
        char *text;
        int r;

        for (guint i = 0; i < b->stage.args->len; i++)
                g_ptr_array_add(args, b->stage.args->pdata[i]);
        g_ptr_array_add(args, NULL);
        c.args = (char **) args->pdata;
        r = ops_config_build(&c, b->old, &config, f);
        if (r < 0)
                return r;
        text = json_dumps(config, JSON_INDENT(2) | JSON_SORT_KEYS);
        json_decref(config);
        fd = openat(b->stage.tree, CONFIG, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = !text ? -ENOMEM : fd < 0 ? -errno : write_all(fd, text, strlen(text));
        free(text);
        return r < 0 ? fail_errno(f, r, "writing the configuration of ops") : 0;
}

/* ---- Running it ---- */

static void log_words(struct build *b, int level, const struct run_result *run) {
        g_autofree char *words = ops_output_words(run->out->str, run->out->len, run->err->str, run->err->len);

        if (*words)
                job_log(b->job, level, "ops: %s", words);
}

static int spawn_ops(struct build *b, struct run_result *run, struct failure *f) {
        g_autofree char *program = b->stage.dynamic ? g_strdup_printf("%s/root/%s", b->base, b->stage.executable)
                                                    : g_strdup_printf("%s/program/%s", b->base, b->stage.executable);
        g_autofree char *root = g_strdup_printf("%s/root", b->base);
        g_autofree char *config = g_strdup_printf("%s/" CONFIG, root);
        g_autofree char *home = g_strdup_printf("HOME=%s/home", b->base);
        g_autofree char *ops_home = g_strdup_printf("OPS_HOME=%s/home", b->base);
        g_autofree char *tmp = g_strdup_printf("TMPDIR=%s/tmp", b->base);
        g_autofree char *tool = g_strdup(b->ops);
        char build[] = "build", c[] = "-c", i[] = "-i", name[] = NAME;
        char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8";
        /* It asks for its newest version and waits without end: nobody is there, which it learns at once. */
        char proxy[] = "HTTPS_PROXY=http://127.0.0.1:9", proxy2[] = "https_proxy=http://127.0.0.1:9";
        char proxy3[] = "HTTP_PROXY=http://127.0.0.1:9", proxy4[] = "http_proxy=http://127.0.0.1:9";
        char *argv[] = {tool, build, program, c, config, i, name, NULL};
        char *envp[] = {home, ops_home, tmp, path, lang, proxy, proxy2, proxy3, proxy4, NULL};
        int r;

        (void) unlinkat(b->dir, "home/.ops/images/" NAME, 0);
        (void) unlinkat(b->dir, "home/.ops/images/" NAME ".img", 0);
        r = run_program(argv, envp, root, b->timeout, run);
        if (r == -ENOENT || r == -EACCES || r == -ENOEXEC)
                return failf(
                        f, r, FAILURE_TOOL, "%s cannot be executed: %s (Ops= in runtime.conf)", b->ops, g_strerror(-r));
        return r < 0 ? fail_errno(f, r, "running ops") : 0;
}

/* The image is where ops says, which is one of two places. */
static int open_image(struct build *b, const char *path, struct failure *f) {
        static const char *const names[] = {"home/.ops/images/" NAME, "home/.ops/images/" NAME ".img"};
        struct stat st;

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *expected = g_strdup_printf("%s/%s", b->base, names[i]);
                _cleanup_close_ int fd = -1;

                if (strcmp(path, expected) != 0)
                        continue;
                fd = confined_openat(b->dir, names[i], O_RDONLY | O_NONBLOCK);
                if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
                        return failf(f, -EIO, FAILURE_BUILD, "ops says that it made an image, and there is none");
                if ((uint64_t) st.st_size > b->bytes_max + ((uint64_t) OPS_SPACE_MIB << 21))
                        return failf(f, -E2BIG, FAILURE_LIMIT, "ops made an image of %" PRIu64 " bytes",
                                (uint64_t) st.st_size);
                return take_fd(&fd);
        }
        return failf(f, -EIO, FAILURE_BUILD, "ops made its image at \"%.200s\", which is not in its home", path);
}

/* *ret_refused: it ended well and made nothing, which is how it refuses a configuration. */
static int run_once(struct build *b, bool *ret_refused, struct failure *f) {
        g_autofree char *path = NULL, *words = NULL;
        struct run_result run = {};
        int r;

        *ret_refused = false;
        r = write_config(b, f);
        if (r >= 0)
                r = spawn_ops(b, &run, f);
        if (r < 0)
                return r;
        path = ops_output_image(run.out->str, run.out->len);
        words = ops_output_words(run.out->str, run.out->len, run.err->str, run.err->len);
        if (run.timed_out)
                r = failf(f, -ETIMEDOUT, FAILURE_BUILD,
                        "ops was not done after %" PRIu64 " s and was ended (BuildTimeoutSec= in runtime.conf): %s",
                        b->timeout / G_USEC_PER_SEC, words);
        else if (!WIFEXITED(run.status) || WEXITSTATUS(run.status) != 0)
                r = failf(f, -EIO, FAILURE_BUILD, "ops failed with %s %d: %s",
                        WIFEXITED(run.status) ? "status" : "signal",
                        WIFEXITED(run.status) ? WEXITSTATUS(run.status) : WTERMSIG(run.status), words);
        else if (!path && !b->old)
                *ret_refused = true;
        else if (!path)
                r = failf(f, -EIO, FAILURE_BUILD, "ops ended well and made no image: %s", words);
        else
                r = open_image(b, path, f);
        log_words(b, r < 0 ? LOG_WARNING : LOG_INFO, &run);
        run_result_clear(&run);
        return r;
}

static int run_ops(struct build *b, struct failure *f) {
        bool refused;
        int r;

        job_progress(b->job, 0.5, "ops");
        r = run_once(b, &refused, f);
        if (r < 0 || !refused)
                return r;
        job_log(b->job, LOG_WARNING,
                "this ops refuses the configuration; without what only newer ones know, the guest tells no exit "
                "code and has no room to write");
        b->old = true;
        return run_once(b, &refused, f);
}

/* ---- The result ---- */

/* Holes stay holes: an image of 80 MiB has few MiB of data. */
static int copy_sparse(int from, int to, uint64_t *ret_size) {
        g_autofree char *buf = g_malloc(COPY_CHUNK);
        struct stat st;
        off_t at = 0;

        if (fstat(from, &st) < 0 || ftruncate(to, (st.st_size + 511) & ~(off_t) 511) < 0)
                return -errno;
        while ((at = lseek(from, at, SEEK_DATA)) >= 0 && at < st.st_size) {
                off_t end = lseek(from, at, SEEK_HOLE);

                while (at < end) {
                        ssize_t n = pread(from, buf, (size_t) MIN(end - at, (off_t) COPY_CHUNK), at);
                        ssize_t m = n > 0 ? pwrite(to, buf, (size_t) n, at) : n;

                        if (n < 0 || m < 0)
                                return -errno;
                        if (m == 0)
                                return -EIO;
                        at += m;
                }
        }
        *ret_size = ((uint64_t) st.st_size + 511) & ~(uint64_t) 511;
        return 0;
}

static int build(struct build *b, int root, int output, json_t **ret_done, struct failure *f) {
        _cleanup_close_ int image = -1;
        uint64_t size = 0;
        int r;

        r = make_base(b, f);
        if (r >= 0)
                r = make_home(b, f);
        if (r >= 0)
                r = root_reader_new(root, &b->stage.root, f);
        if (r >= 0) {
                job_progress(b->job, 0.1, "program");
                r = stage_program(&b->stage, b->argv, job_string(b->job, "workdir"), f);
        }
        if (r >= 0)
                r = stage_mounts(b, f);
        if (r >= 0)
                r = image = run_ops(b, f);
        if (r >= 0) {
                job_progress(b->job, 0.9, "image");
                r = copy_sparse(image, output, &size);
                if (r < 0)
                        r = fail_errno(f, r, "writing the image");
        }
        if (r < 0)
                return r;
        *ret_done = json_pack(
                "{s:s, s:I, s:b}", "program", b->stage.program, "size", (json_int_t) size, "exit_code", (int) !b->old);
        return *ret_done ? 0 : -ENOMEM;
}

int nanos_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct build b = {.job = job, .dir = -1, .stage = {.tree = -1, .program_dir = -1}};
        int root = job_need_fd(job, "root", f), output = job_need_fd(job, "output", f), r;

        r = root < 0 || output < 0 ? -EINVAL : parse(&b, f);
        if (r >= 0)
                r = build(&b, root, output, ret_done, f);
        (void) root_reader_free(b.stage.root);
        stage_clear(&b.stage);
        (void) close_fd(b.stage.tree);
        (void) close_fd(b.stage.program_dir);
        (void) close_fd(b.dir);
        if (b.base)
                (void) nftw(b.base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        g_strfreev(b.argv);
        g_strfreev(b.environment);
        g_free(b.base);
        return r;
}
