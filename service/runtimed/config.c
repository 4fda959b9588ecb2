/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration file: one table of keys, each with its place, its kind and its range. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "model/name.h"
#include "model/network-spec.h"
#include "qemu/machine-table.h"
#include "qemu/profile-table.h"

#define GROUP "Runtime"
#define ARCHITECTURES_MAX 16U /* of machine_table() */

enum kind { PATH, OPTIONAL_PATH, PATHS, WORD, NETWORK, REGISTRY, REGISTRIES, YES_NO, U32, U64, SECONDS };

static const struct setting {
        const char *key;
        enum kind kind;
        size_t offset;
        uint64_t min, max;
        const char *fallback;
} settings[] = {
        {"StateDirectory", PATH, offsetof(Config, state_directory), 0, 0, "/var/lib/mcp-runtime"},
        {"QEMU", PATH, offsetof(Config, qemu), 0, 0, "/usr/bin/qemu-system-x86_64"},
        {"Passt", PATH, offsetof(Config, passt), 0, 0, "/usr/bin/passt"},
        {"Ops", PATH, offsetof(Config, ops), 0, 0, "/usr/local/bin/ops"},
        {"OpsHome", PATH, offsetof(Config, ops_home), 0, 0, "/usr/local/share/ops"},
        {"SWTPM", PATH, offsetof(Config, swtpm), 0, 0, "/usr/bin/swtpm"},
        {"ForeignKernelDirectory", PATH, offsetof(Config, foreign_kernels), 0, 0, "/usr/local/lib/mcp-runtime/kernels"},
        {"KernelDirectory", PATH, offsetof(Config, kernel_directory), 0, 0, "/boot"},
        {"ModulesDirectory", PATH, offsetof(Config, modules_directory), 0, 0, MODULES_DIRECTORY},
        {"GuestInit", PATH, offsetof(Config, guest_init), 0, 0, LIBEXECDIR "/mcp-guest-init"},
        {"ProfileDirectory", OPTIONAL_PATH, offsetof(Config, profile_directory), 0, 0, ""},
        {"VolumeRoots", PATHS, offsetof(Config, volume_roots), 0, 0, "/srv"},
        {"DefaultNetwork", NETWORK, offsetof(Config, default_network), 0, 0, NETWORK_USER},
        {"DefaultBridge", WORD, offsetof(Config, bridge), 0, 0, "mcp-br0"},
        {"DefaultSubnet", WORD, offsetof(Config, subnet), 0, 0, "10.99.0.0/24"},
        {"DefaultGateway", WORD, offsetof(Config, gateway), 0, 0, "10.99.0.1"},
        {"MemoryMiB", U32, offsetof(Config, memory_mib), SPEC_MEMORY_MIN, UINT32_MAX, "256"},
        {"VCPUs", U32, offsetof(Config, vcpus), 1, 255, "1"},
        {"BootTimeoutSec", SECONDS, offsetof(Config, boot_timeout), 1, 86400, "300"},
        {"BuildTimeoutSec", SECONDS, offsetof(Config, build_timeout), 1, 3600, "120"},
        {"StopTimeoutSec", SECONDS, offsetof(Config, stop_timeout), 1, 3600, "15"},
        {"ImageBytesMax", U64, offsetof(Config, image_bytes_max), 1, UINT64_MAX, "8589934592"},
        {"ImageEntriesMax", U64, offsetof(Config, image_entries_max), 1, UINT64_MAX, "1000000"},
        {"ImageLayersMax", U32, offsetof(Config, image_layers_max), 1, 1024, "256"},
        {"ImageDepthMax", U32, offsetof(Config, image_depth_max), 1, 1024, "128"},
        {"ImageManifestBytesMax", U32, offsetof(Config, image_manifest_bytes_max), 1, 16U << 20, "4194304"},
        {"ImageNameBytesMax", U32, offsetof(Config, image_name_bytes_max), 1, 255, "255"},
        {"WorkerMemoryMiB", U32, offsetof(Config, worker_memory_mib), 64, 4096, "1024"},
        {"WorkerCPUSec", U32, offsetof(Config, worker_cpu_sec), 1, 86400, "3600"},
        {"WorkerTimeSec", SECONDS, offsetof(Config, worker_time), 1, 86400, "3600"},
        {"BuildsPerUser", U32, offsetof(Config, builds_per_user), 1, 64, "2"},
        {"BuildsMax", U32, offsetof(Config, builds_max), 1, 256, "8"},
        {"QueuedBuildsPerUser", U32, offsetof(Config, queued_builds_max), 0, 1024, "16"},
        {"Skopeo", PATH, offsetof(Config, skopeo), 0, 0, "/usr/bin/skopeo"},
        {"DefaultRegistry", REGISTRY, offsetof(Config, default_registry), 0, 0, ""},
        {"InsecureRegistries", REGISTRIES, offsetof(Config, insecure_registries), 0, 0, ""},
        {"PullTimeoutSec", SECONDS, offsetof(Config, pull_timeout), 1, 86400, "3600"},
        {"PullBytesMax", U64, offsetof(Config, pull_bytes_max), 1, UINT64_MAX, "8589934592"},
        {"KeepArchives", YES_NO, offsetof(Config, keep_archives), 0, 0, "yes"},
        {"MkfsExt4", PATH, offsetof(Config, mkfs), 0, 0, "/usr/sbin/mkfs.ext4"},
        {"DisksPerUser", U32, offsetof(Config, disks_max), 1, UINT32_MAX, "256"},
        {"VolumeBytesMax", U64, offsetof(Config, volume_bytes_max), 1, UINT64_MAX, "4294967296"},
        {"DiskBytesPerUser", U64, offsetof(Config, user_disk_bytes), 0, UINT64_MAX, "274877906944"},
        {"VMsPerUser", U32, offsetof(Config, vms_max), 1, UINT32_MAX, "256"},
        {"RunningVMsPerUser", U32, offsetof(Config, running_max), 0, UINT32_MAX, "64"},
        {"MemoryMiBPerUser", U32, offsetof(Config, user_memory_mib), 0, UINT32_MAX, "0"},
        {"VCPUsPerUser", U32, offsetof(Config, user_vcpus), 0, UINT32_MAX, "0"},
        {"ImageBytesPerUser", U64, offsetof(Config, user_image_bytes), 0, UINT64_MAX, "34359738368"},
        {"JobsPerUser", U32, offsetof(Config, jobs_max), 1, UINT32_MAX, "64"},
        {"LogFollowersPerUser", U32, offsetof(Config, log_followers_max), 1, 1024, "32"},
        {"SpecBytesMax", U32, offsetof(Config, spec_bytes_max), 0, UINT32_MAX, "131072"},
        {"FairShares", YES_NO, offsetof(Config, fair_shares), 0, 0, "yes"},
        {"ReservedBytes", U64, offsetof(Config, reserved_bytes), 0, UINT64_MAX, "1073741824"},
};

static int store_number(const struct setting *s, const char *text, void *place) {
        guint64 v;

        if (!g_ascii_string_to_unsigned(text, 10, s->min, s->max, &v, NULL))
                return -ERANGE;
        if (s->kind == U32)
                *(uint32_t *) place = (uint32_t) v;
        else
                *(uint64_t *) place = s->kind == SECONDS ? v * G_USEC_PER_SEC : v;
        return 0;
}

static int store_string(const char *text, char **place) {
        g_free(*place);
        *place = g_strdup(text);
        return 0;
}

static int store_registries(const char *text, char ***place) {
        g_auto(GStrv) words = g_strsplit_set(text, " \t", 0);
        GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

        for (char **w = words; *w; w++) {
                if (!**w)
                        continue;
                if (!registry_name_is_valid(*w)) {
                        g_ptr_array_unref(list);
                        return -EINVAL;
                }
                g_ptr_array_add(list, g_strdup(*w));
        }
        g_ptr_array_add(list, NULL);
        g_strfreev(*place);
        *place = (char **) g_ptr_array_free(list, FALSE);
        return 0;
}

static int store_yes_no(const char *text, bool *place) {
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
                return -EINVAL;
        *place = strcmp(text, "yes") == 0;
        return 0;
}

static int store_setting(Config *c, const struct setting *s, const char *text) {
        void *place = (char *) c + s->offset;
        g_auto(GStrv) list = NULL;

        switch (s->kind) {
        case OPTIONAL_PATH:
                if (!*text)
                        return store_string(text, place);
                /* fall through */
        case PATH:
                return g_path_is_absolute(text) ? store_string(text, place) : -EINVAL;
        case NETWORK:
                if (network_is_bridge(text) && !network_name_is_valid(text))
                        return -EINVAL;
                /* fall through */
        case WORD:
                return store_string(text, place);
        case REGISTRY:
                return *text && !registry_name_is_valid(text) ? -EINVAL : store_string(text, place);
        case REGISTRIES:
                return store_registries(text, place);
        case YES_NO:
                return store_yes_no(text, place);
        case PATHS:
                list = g_strsplit(text, ":", 0);
                for (char **p = list; *p; p++)
                        if (!g_path_is_absolute(*p))
                                return -EINVAL;
                g_strfreev(*(char ***) place);
                *(char ***) place = g_steal_pointer(&list);
                return 0;
        default:
                return store_number(s, text, place);
        }
}

static const struct setting *find_setting(const char *key) {
        for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
                if (strcmp(settings[i].key, key) == 0)
                        return &settings[i];
        return NULL;
}

static gboolean merge_file(Config *c, const char *path, GError **error) {
        g_autoptr(GKeyFile) file = g_key_file_new();
        g_auto(GStrv) groups = NULL, keys = NULL;

        if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, error))
                return FALSE;
        groups = g_key_file_get_groups(file, NULL);
        for (char **g = groups; *g; g++)
                if (strcmp(*g, GROUP) != 0) {
                        g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND,
                                "%s: unknown group [%s], expected [" GROUP "]", path, *g);
                        return FALSE;
                }
        keys = g_key_file_get_keys(file, GROUP, NULL, NULL);
        for (char **k = keys; k && *k; k++) {
                const struct setting *s = find_setting(*k);
                g_autofree char *value = g_key_file_get_string(file, GROUP, *k, NULL);

                if (!s || !value || store_setting(c, s, value) < 0) {
                        g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE,
                                s ? "%s: %s=%s is not a valid value" : "%s: unknown setting %s=%s", path, *k,
                                value ?: "");
                        return FALSE;
                }
        }
        return TRUE;
}

static gint compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static gboolean merge_drop_ins(Config *c, const char *path, GError **error) {
        g_autofree char *dir_path = g_strconcat(path, ".d", NULL);
        g_autoptr(GDir) dir = g_dir_open(dir_path, 0, NULL);
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        const char *name;

        if (!dir)
                return TRUE;
        while ((name = g_dir_read_name(dir)))
                if (g_str_has_suffix(name, ".conf"))
                        g_ptr_array_add(names, g_build_filename(dir_path, name, NULL));
        g_ptr_array_sort(names, compare_names);
        for (guint i = 0; i < names->len; i++)
                if (!merge_file(c, names->pdata[i], error))
                        return FALSE;
        return TRUE;
}

Config *config_load(const char *path, GError **error) {
        g_autoptr(Config) c = g_new0(Config, 1);

        for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
                (void) store_setting(c, &settings[i], settings[i].fallback);
        if (!path)
                path = SYSCONFDIR "/mcp-runtime/runtime.conf";
        if (g_file_test(path, G_FILE_TEST_EXISTS) && !merge_file(c, path, error))
                return NULL;
        if (!merge_drop_ins(c, path, error))
                return NULL;
        return g_steal_pointer(&c);
}

void config_free(Config *c) {
        if (!c)
                return;
        g_free(c->state_directory);
        g_free(c->qemu);
        g_free(c->passt);
        g_free(c->mkfs);
        g_free(c->ops);
        g_free(c->ops_home);
        g_free(c->kernel_directory);
        g_free(c->modules_directory);
        g_free(c->guest_init);
        g_free(c->swtpm);
        g_free(c->foreign_kernels);
        g_free(c->profile_directory);
        g_strfreev(c->volume_roots);
        g_free(c->default_network);
        g_free(c->bridge);
        g_free(c->subnet);
        g_free(c->gateway);
        g_free(c->skopeo);
        g_free(c->default_registry);
        g_strfreev(c->insecure_registries);
        g_free(c);
}

const char *config_host_architecture(void) {
        static struct utsname uts;

        (void) uname(&uts);
        return uts.machine;
}

/* The host's own, then what TCG emulates. */
static const char *const *guest_architectures(void) {
        static const char *list[ARCHITECTURES_MAX + 2];
        size_t n = 0;

        list[n++] = config_host_architecture();
        for (const Machine *m = machine_table(); m->architecture && n <= ARCHITECTURES_MAX; m++)
                if (strcmp(m->architecture, list[0]) != 0)
                        list[n++] = m->architecture;
        return list;
}

static const char *const *profile_names(void) {
        static const char *list[PROFILE_MAX + 1];

        for (ProfileId p = 0; p < PROFILE_MAX; p++)
                list[p] = profile_to_string(p);
        return list;
}

SpecLimits config_spec_limits(const Config *c) {
        uint64_t host_mib = (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE) >> 20;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        return (SpecLimits){
                .memory_mib_default = c->memory_mib,
                .memory_mib_max = (uint32_t) MIN(host_mib, UINT32_MAX),
                .vcpus_default = c->vcpus,
                .vcpus_max = (uint32_t) MAX(cpus, 1),
                .stop_timeout_default = c->stop_timeout,
                .default_network = c->default_network,
                .architecture = config_host_architecture(),
                .architectures = guest_architectures(),
                .profiles = profile_names(),
                .volume_roots = (const char *const *) c->volume_roots,
        };
}
