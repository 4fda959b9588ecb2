/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the object tree: paths, lookups, the enumerators; and turns what the core tells into signals. */
#include "bus/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/gate.h"
#include "bus/leavers.h"
#include "bus/log-stream.h"
#include "bus/questions.h"
#include "bus/signals.h"
#include "core/network.h"
#include "core/profile.h"
#include "shared/log.h"

#define VM_PREFIX BUS_ROOT "/vm"
#define JOB_PREFIX BUS_ROOT "/job"
#define IMAGE_PREFIX BUS_ROOT "/image"
#define NETWORK_PREFIX BUS_ROOT "/network"
#define PROFILE_PREFIX BUS_ROOT "/profile"

/* ---- Paths ---- */

char *bus_vm_path(const char *name) {
        char *path = NULL;

        (void) sd_bus_path_encode(VM_PREFIX, name, &path);
        return path;
}

char *bus_vm_name(const char *path) {
        char *name = NULL;

        return sd_bus_path_decode(path, VM_PREFIX, &name) > 0 ? name : NULL;
}

char *bus_network_path(const char *name) {
        char *path = NULL;

        (void) sd_bus_path_encode(NETWORK_PREFIX, name, &path);
        return path;
}

char *bus_profile_path(const char *name) {
        char *path = NULL;

        (void) sd_bus_path_encode(PROFILE_PREFIX, name, &path);
        return path;
}

char *bus_job_path(const Job *job) {
        char *path = NULL;

        return asprintf(&path, JOB_PREFIX "/%u", job->id) < 0 ? NULL : path;
}

Job *bus_job_of(Bus *b, const char *path) {
        guint64 id;

        if (!g_str_has_prefix(path, JOB_PREFIX "/") ||
                !g_ascii_string_to_unsigned(path + strlen(JOB_PREFIX "/"), 10, 1, UINT32_MAX, &id, NULL))
                return NULL;
        return runtime_find_job(b->runtime, (uint32_t) id);
}

char *bus_image_path(const Image *image) {
        char *path = NULL;

        return asprintf(&path, IMAGE_PREFIX "/%s", image->id) < 0 ? NULL : path;
}

char *bus_job_subject(const Job *job) {
        char *path = NULL;
        char *result;

        if (job->vm || job->profile) {
                path = job->vm ? bus_vm_path(job->vm) : bus_profile_path(job->profile);
                result = g_strdup(path ?: "/");
                free(path);
                return result;
        }
        return job->image_id ? g_strconcat(IMAGE_PREFIX "/", job->image_id, NULL) : g_strdup("/");
}

/* ---- Lookups ---- */

static int find_vm(
        sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Bus *b = userdata;
        char *name = bus_vm_name(path);

        *ret = name ? runtime_find_vm(b->runtime, name) : NULL;
        free(name);
        return *ret != NULL;
}

static int find_job(
        sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        *ret = bus_job_of(userdata, path);
        return *ret != NULL;
}

static int find_image(
        sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Bus *b = userdata;

        if (!g_str_has_prefix(path, IMAGE_PREFIX "/"))
                return 0;
        *ret = g_hash_table_lookup(b->runtime->images, path + strlen(IMAGE_PREFIX "/"));
        return *ret != NULL;
}

static int find_network(
        sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Bus *b = userdata;
        char *name = NULL;
        int r;

        r = sd_bus_path_decode(path, NETWORK_PREFIX, &name);
        if (r <= 0)
                return r;
        *ret = network_find(b->runtime, name);
        free(name);
        return *ret != NULL;
}

static int find_profile(
        sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Bus *b = userdata;
        char *name = NULL;
        int r;

        r = sd_bus_path_decode(path, PROFILE_PREFIX, &name);
        if (r <= 0)
                return r;
        *ret = profile_find(b->runtime, name);
        free(name);
        return *ret != NULL;
}

/* ---- Enumerators ---- */

static int enumerate(GHashTable *table, char *(*path_of)(const void *), char ***ret) {
        GHashTableIter iter;
        gpointer value;
        size_t n = 0;
        char **nodes = calloc((size_t) g_hash_table_size(table) + 1, sizeof(char *));

        if (!nodes)
                return -ENOMEM;
        g_hash_table_iter_init(&iter, table);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                nodes[n] = path_of(value);
                if (nodes[n])
                        n++;
        }
        *ret = nodes;
        return 1;
}

static char *vm_path_of(const void *vm) {
        return bus_vm_path(((const VM *) vm)->name);
}

static char *job_path_of(const void *job) {
        return bus_job_path(job);
}

static char *image_path_of(const void *image) {
        return bus_image_path(image);
}

static int enumerate_vms(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        return enumerate(((Bus *) userdata)->runtime->vms, vm_path_of, ret);
}

static int enumerate_jobs(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        return enumerate(((Bus *) userdata)->runtime->jobs, job_path_of, ret);
}

static int enumerate_images(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        return enumerate(((Bus *) userdata)->runtime->images, image_path_of, ret);
}

static char *network_path_of(const void *network) {
        return bus_network_path(((const Network *) network)->name);
}

static int enumerate_networks(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        return enumerate(((Bus *) userdata)->runtime->networks, network_path_of, ret);
}

static int enumerate_profiles(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        char **nodes = calloc(PROFILE_MAX + 1, sizeof(char *));

        if (!nodes)
                return -ENOMEM;
        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                nodes[id] = bus_profile_path(profile_to_string(id));
        *ret = nodes;
        return 1;
}

/* ---- Signals ---- */

/* A signal of the Manager; NULL without memory. */
static sd_bus_message *manager_signal(Bus *b, const char *member) {
        sd_bus_message *m = NULL;

        (void) sd_bus_message_new_signal(b->bus, &m, BUS_ROOT, BUS_INTERFACE("Manager"), member);
        return m;
}

static void send_named(Bus *b, const char *member, const char *name, const char *path, bool early) {
        sd_bus_message *m = manager_signal(b, member);

        if (m)
                (void) sd_bus_message_append(m, "so", name, path);
        signals_send(b, path, m, early);
}

static void on_vm_new(VM *vm, void *userdata) {
        Bus *b = userdata;
        char *path;

        if (!b->loaded) /* it was there before this daemon */
                return;
        path = bus_vm_path(vm->name);
        signals_object_added(b, path);
        send_named(b, "VMNew", vm->name, path, true);
        free(path);
}

static void on_vm_removed(VM *vm, void *userdata) {
        Bus *b = userdata;
        char *path = bus_vm_path(vm->name);

        log_streams_end(b, vm);
        vm_waits_end(b, vm);
        send_named(b, "VMRemoved", vm->name, path, false);
        signals_object_removed(b, path, BUS_INTERFACE("VM"));
        free(path);
}

static void on_vm_changing(VM *vm, const char *property, void *userdata) {
        signals_note(userdata, bus_vm_path(vm->name), BUS_INTERFACE("VM"), vm_vtable, property, vm);
}

static void on_vm_state(VM *vm, void *userdata) {
        vm_waits_look(userdata, vm);
}

static void on_job_new(Job *job, void *userdata) {
        Bus *b = userdata;
        char *path = bus_job_path(job);
        sd_bus_message *m = manager_signal(b, "JobNew");

        if (m)
                (void) sd_bus_message_append(m, "uo", job->id, path);
        signals_object_added(b, path);
        signals_send(b, path, m, true);
        free(path);
}

static void on_job_changing(Job *job, const char *property, void *userdata) {
        signals_note(userdata, bus_job_path(job), BUS_INTERFACE("Job"), job_vtable, property, job);
}

static void on_job_finished(Job *job, void *userdata) {
        Bus *b = userdata;
        char *path = bus_job_path(job);
        sd_bus_message *m = manager_signal(b, "JobRemoved");

        if (m)
                (void) sd_bus_message_append(
                        m, "uoss", job->id, path, job_state_to_string(job->state), bus_job_error(job));
        signals_send(b, path, m, false);
        free(path);
}

static void on_job_gone(Job *job, void *userdata) {
        Bus *b = userdata;
        char *path = bus_job_path(job);

        (void) g_hash_table_remove(b->watchers, GUINT_TO_POINTER(job->id));
        signals_object_removed(b, path, BUS_INTERFACE("Job"));
        free(path);
}

static void on_image_new(Image *image, void *userdata) {
        char *path = bus_image_path(image);

        signals_object_added(userdata, path);
        free(path);
}

static void on_image_changing(Image *image, const char *property, void *userdata) {
        signals_note(userdata, bus_image_path(image), BUS_INTERFACE("Image"), image_vtable, property, image);
}

static void on_image_removed(Image *image, void *userdata) {
        char *path = bus_image_path(image);

        signals_object_removed(userdata, path, BUS_INTERFACE("Image"));
        free(path);
}

static void on_network_new(Network *network, void *userdata) {
        char *path = bus_network_path(network->name);

        signals_object_added(userdata, path);
        free(path);
}

static void on_network_changing(Network *network, const char *property, void *userdata) {
        signals_note(
                userdata, bus_network_path(network->name), BUS_INTERFACE("Network"), network_vtable, property, network);
}

static void on_network_removed(Network *network, void *userdata) {
        char *path = bus_network_path(network->name);

        signals_object_removed(userdata, path, BUS_INTERFACE("Network"));
        free(path);
}

static void on_profile_changing(Profile *profile, const char *property, void *userdata) {
        signals_note(
                userdata, bus_profile_path(profile->name), BUS_INTERFACE("Profile"), profile_vtable, property, profile);
}

static void on_runtime_changing(const char *property, void *userdata) {
        signals_note(userdata, strdup(BUS_ROOT), BUS_INTERFACE("Manager"), manager_vtable, property, userdata);
}

const Observer bus_observer = {
        .vm_new = on_vm_new,
        .vm_removed = on_vm_removed,
        .vm_changing = on_vm_changing,
        .vm_state = on_vm_state,
        .job_new = on_job_new,
        .job_changing = on_job_changing,
        .job_log = bus_job_log,
        .job_finished = on_job_finished,
        .job_gone = on_job_gone,
        .image_new = on_image_new,
        .image_changing = on_image_changing,
        .image_removed = on_image_removed,
        .network_new = on_network_new,
        .network_changing = on_network_changing,
        .network_removed = on_network_removed,
        .profile_changing = on_profile_changing,
        .runtime_changing = on_runtime_changing,
};

/* ---- Wiring ---- */

static void caller_free(void *p) {
        g_free(((Caller *) p)->unit);
        g_free(p);
}

Bus *bus_new(sd_event *event, sd_bus *bus, Authority *authority) {
        Bus *b = g_new0(Bus, 1);

        *b = (Bus){.bus = sd_bus_ref(bus), .event = sd_event_ref(event), .authority = authority};
        b->questions = questions_new();
        b->callers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, caller_free);
        b->calls = g_ptr_array_new();
        b->streams = g_ptr_array_new();
        b->waits = g_ptr_array_new();
        b->watchers = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
        if (signals_new(b) < 0 || leavers_new(b) < 0)
                return bus_free(b);
        return b;
}

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        log_streams_free(b);
        signals_free(b);
        (void) told_free(b->told);
        leavers_free(b);
        g_ptr_array_unref(b->calls);
        g_ptr_array_unref(b->streams);
        g_ptr_array_unref(b->waits);
        g_hash_table_unref(b->watchers);
        g_hash_table_unref(b->questions);
        g_hash_table_unref(b->callers);
        sd_bus_unref(b->bus);
        sd_event_unref(b->event);
        g_free(b);
        return NULL;
}

int bus_export(Bus *b) {
        static const struct {
                const char *prefix, *interface;
                const sd_bus_vtable *vtable;
                sd_bus_object_find_t find;
                sd_bus_node_enumerator_t enumerator;
        } kinds[] = {
                {VM_PREFIX, BUS_INTERFACE("VM"), vm_vtable, find_vm, enumerate_vms},
                {JOB_PREFIX, BUS_INTERFACE("Job"), job_vtable, find_job, enumerate_jobs},
                {IMAGE_PREFIX, BUS_INTERFACE("Image"), image_vtable, find_image, enumerate_images},
                {NETWORK_PREFIX, BUS_INTERFACE("Network"), network_vtable, find_network, enumerate_networks},
                {PROFILE_PREFIX, BUS_INTERFACE("Profile"), profile_vtable, find_profile, enumerate_profiles},
        };
        int r;

        r = sd_bus_add_object_manager(b->bus, NULL, BUS_ROOT);
        if (r >= 0)
                r = sd_bus_add_object_vtable(b->bus, NULL, BUS_ROOT, BUS_INTERFACE("Manager"), manager_vtable, b);
        for (size_t i = 0; i < G_N_ELEMENTS(kinds) && r >= 0; i++) {
                r = sd_bus_add_fallback_vtable(
                        b->bus, NULL, kinds[i].prefix, kinds[i].interface, kinds[i].vtable, kinds[i].find, b);
                if (r >= 0)
                        r = sd_bus_add_node_enumerator(b->bus, NULL, kinds[i].prefix, kinds[i].enumerator, b);
        }
        return r;
}
