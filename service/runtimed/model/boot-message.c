/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what guest init is told: the spec laid over the image's configuration, in the form of shared/guest-wire.h. */
#include "model/boot-message.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "model/mount.h"
#include "shared/guest-wire.h"
#include "shared/signal-names.h"

#define DEFAULT_STOP_SIGNAL SIGTERM
#define GUEST_SIGNAL_MAX 64
#define HOST_LABEL_MAX 63U

static int take_string(json_t *object, const char *name, char **ret) {
        json_t *v = json_object_get(object, name);

        if (v && !json_is_null(v) && !json_is_string(v))
                return -EINVAL;
        *ret = g_strdup(json_is_string(v) ? json_string_value(v) : "");
        return 0;
}

static int take_strings(json_t *object, const char *name, char ***ret) {
        json_t *v = json_object_get(object, name), *e;
        size_t i;

        if (v && !json_is_null(v) && !json_is_array(v))
                return -EINVAL;

        g_auto(GStrv) strings = g_new0(char *, json_array_size(v) + 1);

        json_array_foreach(v, i, e) {
                if (!json_is_string(e))
                        return -EINVAL;
                strings[i] = g_strdup(json_string_value(e));
        }
        *ret = g_steal_pointer(&strings);
        return 0;
}

int image_config_parse(json_t *object, ImageConfig **ret) {
        if (!json_is_object(object))
                return -EINVAL;

        g_autoptr(ImageConfig) c = g_new0(ImageConfig, 1);

        if (take_strings(object, "entrypoint", &c->entrypoint) < 0 || take_strings(object, "cmd", &c->cmd) < 0 ||
                take_strings(object, "env", &c->env) < 0 || take_strings(object, "ports", &c->ports) < 0 ||
                take_string(object, "user", &c->user) < 0 || take_string(object, "workdir", &c->workdir) < 0 ||
                take_string(object, "stop_signal", &c->stop_signal) < 0)
                return -EINVAL;
        *ret = g_steal_pointer(&c);
        return 0;
}

static json_t *strings_to_json(char **strings) {
        json_t *a = json_array();

        for (char **s = strings; *s; s++)
                json_array_append_new(a, json_string(*s));
        return a;
}

ImageConfig *image_config_new(void) {
        json_t *nothing = json_object();
        ImageConfig *c = NULL;

        (void) image_config_parse(nothing, &c);
        json_decref(nothing);
        return c;
}

json_t *image_config_to_json(const ImageConfig *c) {
        json_t *o = json_object();

        json_object_set_new(o, "entrypoint", strings_to_json(c->entrypoint));
        json_object_set_new(o, "cmd", strings_to_json(c->cmd));
        json_object_set_new(o, "env", strings_to_json(c->env));
        json_object_set_new(o, "user", json_string(c->user));
        json_object_set_new(o, "workdir", json_string(c->workdir));
        json_object_set_new(o, "stop_signal", json_string(c->stop_signal));
        json_object_set_new(o, "ports", strings_to_json(c->ports));
        return o;
}

void image_config_free(ImageConfig *c) {
        if (!c)
                return;
        g_strfreev(c->entrypoint);
        g_strfreev(c->cmd);
        g_strfreev(c->env);
        g_strfreev(c->ports);
        g_free(c->user);
        g_free(c->workdir);
        g_free(c->stop_signal);
        g_free(c);
}

static int number_in(const char *text, int min, int max) {
        size_t n = strlen(text);
        int v = 0;

        if (n < 1 || n > 2)
                return -1;
        for (size_t i = 0; i < n; i++) {
                if (!g_ascii_isdigit(text[i]))
                        return -1;
                v = v * 10 + (text[i] - '0');
        }
        return v >= min && v <= max ? v : -1;
}

int stop_signal_number(const char *text) {
        int n;

        if (!text)
                return DEFAULT_STOP_SIGNAL;
        n = number_in(text, 1, GUEST_SIGNAL_MAX);
        if (n < 0)
                n = signal_from_name(text);
        return n < 0 ? DEFAULT_STOP_SIGNAL : n;
}

static void append(GByteArray *b, const char *key, const char *value) {
        g_byte_array_append(b, (const guint8 *) key, (guint) strlen(key));
        g_byte_array_append(b, (const guint8 *) "=", 1);
        g_byte_array_append(b, (const guint8 *) value, (guint) strlen(value) + 1);
}

static void append_all(GByteArray *b, const char *key, char **values) {
        for (char **v = values; v && *v; v++)
                append(b, key, *v);
}

/* The first label of the VM's name, as a host may be called: no underscore, no dash at its end. */
static char *hostname_from_name(const char *vm_name) {
        char *h = g_strndup(vm_name, MIN(strcspn(vm_name, "."), HOST_LABEL_MAX));

        g_strdelimit(h, "_", '-');
        for (size_t n = strlen(h); n > 0 && h[n - 1] == '-'; n--)
                h[n - 1] = '\0';
        return h;
}

/* Borrowed strings of both lists, in order. */
static GPtrArray *command_line(const VMSpec *spec, const ImageConfig *image) {
        char **rest = spec->command[0] ? spec->command : image->cmd;
        GPtrArray *argv = g_ptr_array_new();

        for (char **s = image->entrypoint; *s; s++)
                g_ptr_array_add(argv, *s);
        for (char **s = rest; *s; s++)
                g_ptr_array_add(argv, *s);
        return argv;
}

static bool same_variable(const char *a, const char *b) {
        size_t n = strcspn(a, "=");

        return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

/* Last of one name wins and takes the first one's place. What has no name or value says nothing. */
static void environment_add(GPtrArray *env, char **assignments) {
        for (char **s = assignments; *s; s++) {
                guint i = 0;

                if (**s == '=' || !strchr(*s, '='))
                        continue;
                while (i < env->len && !same_variable(env->pdata[i], *s))
                        i++;
                if (i < env->len)
                        env->pdata[i] = *s;
                else
                        g_ptr_array_add(env, *s);
        }
}

static GPtrArray *environment(const VMSpec *spec, const ImageConfig *image) {
        GPtrArray *env = g_ptr_array_new();

        environment_add(env, image->env);
        environment_add(env, spec->environment);
        return env;
}

static char **copy_strings(GPtrArray *borrowed) {
        char **copy;

        g_ptr_array_add(borrowed, NULL);
        copy = g_strdupv((char **) borrowed->pdata);
        g_ptr_array_unref(borrowed);
        return copy;
}

char **boot_command_line(const VMSpec *spec, const ImageConfig *image) {
        return copy_strings(command_line(spec, image));
}

char **boot_environment(const VMSpec *spec, const ImageConfig *image) {
        return copy_strings(environment(spec, image));
}

static void append_environment(GByteArray *b, const VMSpec *spec, const ImageConfig *image) {
        g_autoptr(GPtrArray) env = environment(spec, image);

        for (guint i = 0; i < env->len; i++)
                append(b, "env", env->pdata[i]);
}

static void append_network(GByteArray *b, const VMSpec *spec, const BootNetwork *network) {
        if (!network || !network->address)
                return;
        append(b, "address", network->address);
        if (network->gateway)
                append(b, "gateway", network->gateway);
        append_all(b, "dns", spec->dns[0] ? spec->dns : network->dns);
}

/* Those above come first. */
static void append_mounts(GByteArray *b, const VMSpec *spec) {
        g_autoptr(GPtrArray) mounts = spec_mounts(spec);

        for (guint i = 0; i < mounts->len; i++) {
                const SpecMount *m = mounts->pdata[i];
                g_autofree char *text = g_strdup_printf("%s %s %s", m->kind, m->tag, m->path);

                append(b, "mount", text);
        }
}

static void append_probe(GByteArray *b, const char *key, const Probe *probe) {
        g_autofree char *text = probe_to_guest(probe);

        if (text)
                append(b, key, text);
}

static const char *first_of(const char *a, const char *b) {
        return a[0] != '\0' ? a : b;
}

int boot_message_build(const VMSpec *spec, const char *vm_name, const ImageConfig *image, const BootNetwork *network,
        GByteArray **ret, Problem **ret_problem) {
        g_autoptr(GByteArray) b = g_byte_array_new();
        g_autoptr(GPtrArray) argv = command_line(spec, image);
        g_autofree char *name = hostname_from_name(vm_name);
        g_autofree char *version = g_strdup_printf("%d", GUEST_WIRE_VERSION);
        g_autofree char *stop_signal = g_strdup_printf("%d", stop_signal_number(image->stop_signal));

        if (argv->len == 0 || *(const char *) argv->pdata[0] == '\0')
                return problem_set(ret_problem, "InvalidSpec", "Command",
                        "Command: the image names no program (no Entrypoint, no Cmd), so its first element must be "
                        "one");

        append(b, "version", version);
        append(b, "root", *spec->root_directory ? GUEST_ROOT_SHARE : "root");
        append(b, "hostname", first_of(spec->hostname, name));
        for (guint i = 0; i < argv->len; i++)
                append(b, "arg", argv->pdata[i]);
        append_environment(b, spec, image);
        append(b, "user", first_of(spec->user, image->user));
        append(b, "workdir", first_of(spec->working_directory, image->workdir));
        append(b, "stop-signal", stop_signal);
        append_network(b, spec, network);
        append_mounts(b, spec);
        append_probe(b, "ready", &spec->ready);
        append_probe(b, "health", &spec->health);

        if (b->len > GUEST_BOOT_MAX)
                return problem_set(ret_problem, "InvalidSpec", "Command",
                        "Command: with the image's own arguments and environment the guest would be told %u bytes, "
                        "at most %u are accepted",
                        b->len, GUEST_BOOT_MAX);
        *ret = g_steal_pointer(&b);
        return 0;
}
