/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the disks of Nanos guests: what is in one, where it lies, who makes it, when it goes. */
#include "core/nanos.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/builds.h"
#include "core/image-private.h"
#include "core/quota.h"
#include "core/vm.h"
#include "core/work.h"
#include "model/mount.h"
#include "model/name.h"
#include "shared/fd.h"
#include "shared/log.h"

#define MAKE_SHARE 0.8 /* of the progress; the rest is the hash */
#define RELEASE_MAX 4096U

struct NanosBuild {
        Runtime *runtime;
        Job *job;
        double from, to;
        uint32_t owner;
        char *image_id, *hex;
        char *key, *tmp;
        char *tools; /* "": it came from a registry */
        uint64_t size;
        json_t *message;             /* of its worker, and */
        int root, volumes, archives; /* descriptors, until it is its turn */
        bool in_line;
        Work *work;
        NanosDone done;
        void *userdata;
};

#define BUILD_FDS 4U

/* ---- Records ---- */

void image_build_free(void *p) {
        ImageBuild *b = p;

        g_free(b->key);
        g_free(b->hash);
        g_free(b->tools);
        g_free(b);
}

json_t *image_builds_to_json(const Image *i) {
        json_t *array = json_array();

        for (guint k = 0; k < i->builds->len; k++) {
                const ImageBuild *b = i->builds->pdata[k];

                (void) json_array_append_new(
                        array, json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "key", b->key, "hash", b->hash, "tools",
                                       b->tools, "size", (json_int_t) b->size, "made_at", (json_int_t) b->made_at,
                                       "stamp", stamp_to_json(&b->stamp)));
        }
        return array;
}

static bool is_hex(const char *s) {
        g_autofree char *digest = g_strconcat("sha256:", s, NULL);

        return digest_is_valid(digest);
}

void image_builds_from_json(json_t *array, Image *i) {
        json_t *item;
        size_t k;

        json_array_foreach(array, k, item) {
                const char *key, *hash,
                        *tools = ""; /* noted since disks can be pulled: an older one is found no more, and goes */
                json_int_t size, made_at;
                ImageBuild *b;

                if (json_unpack(item, "{s:s, s:s, s?s, s:I, s:I}", "key", &key, "hash", &hash, "tools", &tools, "size",
                            &size, "made_at", &made_at) < 0 ||
                        !is_hex(key) || !is_hex(hash) || (*tools && !is_hex(tools)))
                        continue;
                b = g_new(ImageBuild, 1);
                *b = (ImageBuild){g_strdup(key), g_strdup(hash), g_strdup(tools), (uint64_t) size, (uint64_t) made_at,
                        stamp_from_json(json_object_get(item, "stamp"))};
                g_ptr_array_add(i->builds, b);
        }
}

static char *file_name(const char *hex, const char *key) {
        return g_strdup_printf("%s-%s.nanos", hex, key);
}

int nanos_open(Image *image, const char *key) {
        g_autofree char *name = file_name(image->hex, key);

        return store_image_part_open(image->runtime->store, image->owner, name);
}

static ImageBuild *find(Image *image, const char *key) {
        for (guint k = 0; k < image->builds->len; k++) {
                ImageBuild *b = image->builds->pdata[k];

                if (strcmp(b->key, key) == 0)
                        return b;
        }
        return NULL;
}

/* The file goes first: what the record does not name is not there. */
static void drop(Image *image, guint index) {
        const ImageBuild *b = image->builds->pdata[index];
        g_autofree char *name = file_name(image->hex, b->key);

        store_image_discard(image->runtime->store, image->owner, name);
        g_ptr_array_remove_index(image->builds, index);
}

static bool is_used(Image *image, const ImageBuild *b) {
        g_autoptr(GPtrArray) users = image_users(image);

        for (guint i = 0; i < users->len; i++)
                if (strcmp(((VM *) users->pdata[i])->record->image_hash, b->hash) == 0)
                        return true;
        return false;
}

static void drop_surplus(Image *image) {
        for (guint i = 0; i < image->builds->len && image->builds->len >= NANOS_BUILDS_MAX;)
                if (is_used(image, image->builds->pdata[i]))
                        i++;
                else
                        drop(image, i);
}

uint64_t nanos_bytes(const Image *image) {
        uint64_t bytes = 0;

        for (guint k = 0; k < image->builds->len; k++)
                bytes += ((const ImageBuild *) image->builds->pdata[k])->size;
        return bytes;
}

void nanos_forget(Image *image) {
        while (image->builds->len > 0)
                drop(image, image->builds->len - 1);
}

/* ---- What is in a disk ---- */

int nanos_check_tools(Runtime *rt, Problem **ret_problem) {
        const Config *c = rt->config;
        g_autofree char *latest = g_build_filename(c->ops_home, ".ops", "latest.txt", NULL);

        if (access(c->ops, X_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", "Target",
                        "Target: nanos needs ops, and %s is not there; install it (https://ops.city) and set Ops= in "
                        "runtime.conf, or use linux",
                        c->ops);
        if (access(latest, R_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", "Target",
                        "Target: nanos needs the release that ops has fetched, and %s cannot be read; copy the .ops of "
                        "who has run ops once, and set OpsHome= in runtime.conf",
                        latest);
        return 0;
}

int nanos_check_start(Runtime *rt, uint32_t owner, const VMSpec *spec, Problem **ret_problem) {
        const Image *image = image_find(rt, owner, spec->image);

        return image && image->builds->len > 0 ? 0 : nanos_check_tools(rt, ret_problem);
}

static json_t *json_strv(char **strv) {
        json_t *array = json_array();

        for (char **s = strv; *s; s++)
                (void) json_array_append_new(array, json_string(*s));
        return array;
}

/* "volumes/0": entry 0 of the image "volumes". */
static json_t *json_mounts(const NanosWish *wish) {
        g_autoptr(GPtrArray) mounts = spec_mounts(wish->spec);
        json_t *array = json_array();

        for (guint i = 0; i < mounts->len; i++) {
                const SpecMount *m = mounts->pdata[i];
                const char *slash = strchr(m->tag, '/');

                if (!g_str_equal(m->kind, "volume") || !slash)
                        continue;
                (void) json_array_append_new(
                        array, json_pack("{s:s%, s:s, s:s}", "image", m->tag, (size_t) (slash - m->tag), "place", slash,
                                       "path", m->path));
        }
        return array;
}

/* What is in the volumes' images is known by the files: nobody writes to them once they are made. */
static json_t *json_stamp(int fd) {
        Stamp stamp = {};

        if (fd >= 0)
                (void) stamp_of(fd, &stamp);
        return stamp_to_json(&stamp);
}

static json_t *make_message(Image *image, const NanosWish *wish) {
        g_auto(GStrv) argv = boot_command_line(wish->spec, image->config);
        g_auto(GStrv) env = boot_environment(wish->spec, image->config);

        return json_pack("{s:s, s:o, s:o, s:s, s:s*, s:s*, s:s, s:o, s:[o, o]}", "op", "nanos", "argv", json_strv(argv),
                "env", json_strv(env), "workdir", image->config->workdir, "address", wish->address, "gateway",
                wish->gateway, "architecture", image->architecture, "mounts", json_mounts(wish), "stamps",
                json_stamp(wish->volumes), json_stamp(wish->archives));
}

/* What this host makes it with: no part of what is in it. */
static void add_tools(Image *image, json_t *message) {
        const Config *config = image->runtime->config;
        uint64_t room = quota_image_bytes(image->runtime, image->owner);
        uint64_t bytes = MIN(MIN(config->image_bytes_max, room), (uint64_t) INT64_MAX);

        (void) json_object_set_new(message, "ops", json_string(config->ops));
        (void) json_object_set_new(message, "home", json_string(config->ops_home));
        (void) json_object_set_new(message, "bytes", json_integer((json_int_t) bytes));
        (void) json_object_set_new(message, "timeout", json_integer((json_int_t) config->build_timeout));
}

/* Another ops, or another release of Nanos, makes another disk. Hex: it is compared, here alone. */
static char *describe_tools(Runtime *rt) {
        g_autofree char *latest = g_build_filename(rt->config->ops_home, ".ops", "latest.txt", NULL), *release = NULL,
                        *text = NULL;
        struct stat st = {};
        gsize n = 0;

        (void) stat(rt->config->ops, &st);
        if (!g_file_get_contents(latest, &release, &n, NULL) || n > RELEASE_MAX)
                g_clear_pointer(&release, g_free);
        text = g_strdup_printf("%ju:%ju:%ju:%jd.%09ld:%s", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino,
                (uintmax_t) st.st_size, (intmax_t) st.st_mtim.tv_sec, st.st_mtim.tv_nsec, release ?: "");
        return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

/* The same on every host for the same image: by its manifest, not by its root image, which another worker may write
 * otherwise. */
static char *make_key(Image *image, json_t *message) {
        GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
        char *text = json_dumps(message, JSON_COMPACT | JSON_SORT_KEYS), *key;

        g_checksum_update(sum, (const guchar *) image->hex, -1);
        g_checksum_update(sum, (const guchar *) text, -1);
        key = g_strdup(g_checksum_get_string(sum));
        g_checksum_free(sum);
        free(text);
        return key;
}

/* ---- Making one ---- */

static void build_free(NanosBuild *b) {
        if (b->in_line)
                builds_leave(b->job);
        (void) work_cancel(b->work);
        json_decref(b->message);
        (void) close_fd(b->root);
        (void) close_fd(b->volumes);
        (void) close_fd(b->archives);
        if (b->tmp)
                store_image_discard(b->runtime->store, b->owner, b->tmp);
        g_free(b->image_id);
        g_free(b->hex);
        g_free(b->key);
        g_free(b->tools);
        g_free(b->tmp);
        g_free(b);
}

NanosBuild *nanos_cancel(NanosBuild *b) {
        if (b)
                build_free(b);
        return NULL;
}

static void build_end(NanosBuild *b, const ImageBuild *build, const Problem *problem) {
        NanosDone done = b->done;
        void *userdata = b->userdata;

        build_free(b);
        done(build, problem, userdata);
}

static void build_fail(NanosBuild *b, int r, const char *what) {
        g_autoptr(Problem) p = image_problem("BuildFailed", r, what);

        build_end(b, NULL, p);
}

static int commit(NanosBuild *b, Image *image, const char *hash, ImageBuild **ret) {
        g_autofree char *name = file_name(b->hex, b->key);
        ImageBuild *build = find(image, b->key);
        _cleanup_close_ int fd = -1;
        int r;

        if (!build) {
                drop_surplus(image);
                build = g_new0(ImageBuild, 1);
                build->key = g_strdup(b->key);
                g_ptr_array_add(image->builds, build);
        }
        g_free(build->hash);
        g_free(build->tools);
        build->hash = g_strdup(hash);
        build->tools = g_strdup(b->tools);
        build->size = b->size;
        build->made_at = now_realtime();
        build->stamp = (Stamp){};
        /* The record first: no disk is there that it does not name, and one without its stamp is made again. */
        r = image_save(image);
        if (r >= 0)
                r = store_image_part_commit(b->runtime->store, b->owner, b->tmp, name);
        if (r < 0)
                return r;
        g_clear_pointer(&b->tmp, g_free);
        fd = nanos_open(image, b->key);
        r = fd < 0 ? fd : stamp_of(fd, &build->stamp);
        if (r >= 0)
                r = image_save(image);
        *ret = build;
        return r;
}

static void on_hashed(json_t *result, const Problem *problem, void *userdata) {
        NanosBuild *b = userdata;
        Image *image = g_hash_table_lookup(b->runtime->images, b->image_id);
        const char *digest = json_string_value(json_object_get(result, "digest"));
        ImageBuild *build;
        int r;

        b->work = NULL;
        if (problem)
                build_end(b, NULL, problem);
        else if (!image)
                build_fail(b, -ENOENT, "the image has been removed meanwhile");
        else if (!digest || !digest_is_valid(digest))
                build_fail(b, -EBADMSG, "the worker's hash");
        else if ((r = commit(b, image, digest + strlen("sha256:"), &build)) < 0)
                build_fail(b, r, "the guest's disk could not be stored");
        else {
                log_info("%s a Nanos disk of image %s: %s", *b->tools ? "made" : "pulled", b->image_id, b->key);
                build_end(b, build, NULL);
        }
}

static void hash_disk(NanosBuild *b) {
        static const char *const names[] = {"file"};
        struct stat st;
        int fd, r;

        fd = store_image_part_open(b->runtime->store, b->owner, b->tmp);
        r = fd < 0 || fstat(fd, &st) == 0 ? fd : -errno;
        if (r < 0) {
                (void) close_fd(fd);
                build_fail(b, r, "the guest's disk");
                return;
        }
        b->size = (uint64_t) st.st_blocks * 512; /* mostly holes: what it takes is what counts */
        r = work_start(b->runtime, b->job, b->from + (b->to - b->from) * MAKE_SHARE, b->to,
                json_pack("{s:s}", "op", "hash"), &fd, names, 1, on_hashed, b, &b->work);
        if (r < 0)
                build_fail(b, r, "the image worker could not be started");
}

static void on_made(json_t *result, const Problem *problem, void *userdata) {
        NanosBuild *b = userdata;

        b->work = NULL;
        if (problem)
                build_end(b, NULL, problem);
        else
                hash_disk(b);
}

/* Its turn has come, or it needs none: its job has had one. */
static void build_start(NanosBuild *b) {
        const char *names[BUILD_FDS] = {"root", "output"};
        int fds[BUILD_FDS], r;
        size_t n = 2;

        fds[1] = store_image_create(b->runtime->store, b->owner, &b->tmp);
        if (fds[1] < 0) {
                build_fail(b, fds[1], "the guest's disk");
                return;
        }
        fds[0] = take_fd(&b->root);
        if (b->volumes >= 0) {
                names[n] = "volumes";
                fds[n++] = take_fd(&b->volumes);
        }
        if (b->archives >= 0) {
                names[n] = "archives";
                fds[n++] = take_fd(&b->archives);
        }
        r = work_start(b->runtime, b->job, b->from, b->from + (b->to - b->from) * MAKE_SHARE,
                g_steal_pointer(&b->message), fds, names, n, on_made, b, &b->work);
        if (r < 0)
                build_fail(b, r, "the image worker could not be started");
}

static void on_turn(Job *j, void *userdata) {
        build_start(userdata);
}

/* Keeps what it needs until its turn: descriptors of its own, -1 where there is none. */
static int keep(int fd, int *ret) {
        if (fd < 0)
                return 0;
        *ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret < 0 ? -errno : 0;
}

static int keep_all(NanosBuild *b, int root, const NanosWish *wish) {
        int r = keep(root, &b->root);

        if (r >= 0)
                r = keep(wish->volumes, &b->volumes);
        return r < 0 ? r : keep(wish->archives, &b->archives);
}

/* Whether the tools of this host would make it otherwise. One from a registry is what was asked for, and without tools
 * there is nothing to make another with. */
static bool is_outdated(Image *image, const ImageBuild *b) {
        g_autofree char *tools = NULL;

        if (!*b->tools || nanos_check_tools(image->runtime, NULL) < 0)
                return false;
        tools = describe_tools(image->runtime);
        return strcmp(tools, b->tools) != 0;
}

/* One that is there, with its file as it was made. */
static const ImageBuild *find_made(Image *image, const char *key) {
        const ImageBuild *build = find(image, key);
        _cleanup_close_ int fd = build ? nanos_open(image, key) : -1;

        if (fd >= 0 && !stamp_is_of(&build->stamp, fd)) {
                log_warning("a Nanos disk of image %s was changed, and is made again", image->id);
                return NULL;
        }
        return fd >= 0 && !is_outdated(image, build) ? build : NULL;
}

const ImageBuild *nanos_find(Image *image, const NanosWish *wish) {
        json_t *message = make_message(image, wish);
        g_autofree char *key = make_key(image, message);

        json_decref(message);
        return find_made(image, key);
}

static NanosBuild *build_new(Image *image, Job *job, double from, double to, NanosDone done, void *userdata) {
        NanosBuild *b = g_new(NanosBuild, 1);

        *b = (NanosBuild){.runtime = image->runtime,
                .job = job,
                .from = from,
                .to = to,
                .owner = image->owner,
                .image_id = g_strdup(image->id),
                .hex = g_strdup(image->hex),
                .root = -1,
                .volumes = -1,
                .archives = -1,
                .done = done,
                .userdata = userdata};
        return b;
}

void nanos_ensure(Image *image, int root, const NanosWish *wish, Job *job, double from, double to, NanosDone done,
        void *userdata, NanosBuild **ret) {
        Runtime *rt = image->runtime;
        json_t *message = make_message(image, wish);
        g_autofree char *key = make_key(image, message);
        const ImageBuild *made = find_made(image, key);
        bool joins = job && !job->build; /* BuildImage's has had its turn */
        g_autoptr(Problem) problem = NULL;
        NanosBuild *b;
        int r;

        *ret = NULL;
        if (made || nanos_check_tools(rt, &problem) < 0 || quota_check_image(rt, image->owner, &problem) < 0 ||
                (joins && builds_check(rt, image->owner, &problem) < 0)) {
                json_decref(message);
                done(made, problem, userdata);
                return;
        }
        add_tools(image, message);
        b = build_new(image, job, from, to, done, userdata);
        b->key = g_steal_pointer(&key);
        b->tools = describe_tools(rt);
        b->message = message;
        b->in_line = joins;
        r = keep_all(b, root, wish);
        if (r < 0) {
                build_fail(b, r, "the guest's disk");
                return;
        }
        *ret = b; /* from here on done may be called before this returns */
        if (joins)
                builds_join(job, NULL, on_turn, NULL, b);
        else
                build_start(b);
}

void nanos_adopt(Image *image, const char *key, char *tmp, Job *job, double from, double to, NanosDone done,
        void *userdata, NanosBuild **ret) {
        NanosBuild *b = build_new(image, job, from, to, done, userdata);

        b->key = g_strdup(key);
        b->tools = g_strdup("");
        b->tmp = tmp;
        *ret = b;
        hash_disk(b);
}
