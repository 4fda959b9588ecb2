/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives a VM another spec; one that runs, what needs no new start. */
#include <errno.h>
#include <string.h>

#include "core/boot-plan.h"
#include "core/disk.h"
#include "core/image.h"
#include "core/network.h"
#include "core/quota.h"
#include "core/restart.h"
#include "core/storage.h"
#include "core/user-network.h"
#include "core/vm.h"

/* Properties that follow from the spec. */
static const char *const followers[] = {"Image", "ImageDigest", "ImageHash", "Version", "Target", "Restart", "Network",
        "Address", "Endpoint", "MACAddress", "Ports", "MemoryMiB", "VCPUs", "Architecture", "Labels"};

/* What takes effect without a new start. */
static bool is_live(const char *key) {
        return strcmp(key, "Ports") == 0 || strcmp(key, "Restart") == 0 || strcmp(key, "Labels") == 0;
}

typedef struct Difference {
        GString *for_a_start; /* keys that differ and need a new start, "" for none */
        bool ports;
} Difference;

static Difference compare(const VMSpec *before, const VMSpec *after) {
        json_t *a = vm_spec_to_json(before), *b = vm_spec_to_json(after);
        Difference d = {.for_a_start = g_string_new(NULL)};

        for (const SpecKey *k = spec_keys(); k->name; k++) {
                json_t *x = json_object_get(a, k->name), *y = json_object_get(b, k->name);

                if (x == y || json_equal(x, y))
                        continue;
                if (strcmp(k->name, "Ports") == 0)
                        d.ports = true;
                if (!is_live(k->name))
                        g_string_append_printf(d.for_a_start, "%s%s", d.for_a_start->len ? ", " : "", k->name);
        }
        json_decref(a);
        json_decref(b);
        return d;
}

static int check(VM *vm, const char *keys, Problem **ret_problem) {
        VMState state = vm_state(vm);

        if (vm_state_is_active(state)) {
                if (*keys || (state != VM_RUNNING && state != VM_PAUSED))
                        return problem_set(ret_problem, "VMRunning", *keys ? keys : NULL,
                                "VM '%s' is %s; stop it first%s%s%s", vm->name, vm_state_to_string(state),
                                *keys ? " to change " : "", keys,
                                *keys ? " (Ports, Restart and Labels can be changed while it runs)" : "");
        }
        if (vm->publication)
                return problem_set(ret_problem, "Busy", NULL, "VM '%s' is about to publish other ports", vm->name);
        if (vm->job)
                return problem_set(ret_problem, "Busy", NULL, "VM '%s' is about to start or to go", vm->name);
        return 0;
}

/* Swaps what a record says of its wish with what is given; twice is as before. */
static void swap_wish(VMRecord *r, VMSpec **spec, char **digest, char **hash) {
        VMSpec *old_spec = r->spec;
        char *old_digest = r->image_digest, *old_hash = r->image_hash;

        r->spec = *spec;
        r->image_digest = *digest;
        r->image_hash = *hash;
        *spec = old_spec;
        *digest = old_digest;
        *hash = old_hash;
}

/* Whether the lease no longer is what the spec wants. */
static bool needs_lease(const VMRecord *r, const VMSpec *before) {
        if (strcmp(r->spec->network, before->network) != 0)
                return true;
        return *r->spec->address && strcmp(r->spec->address, r->address) != 0;
}

/* Takes the lease of the new wish; *ret_old is the one before, which is still taken, or NULL. The caller's. */
static int change_lease(VM *vm, const VMSpec *before, char **ret_old, Problem **ret_problem) {
        VMRecord *record = vm->record;
        char *old;
        int r;

        if (!needs_lease(record, before))
                return 0;
        old = g_steal_pointer(&record->address);
        record->address = g_strdup("");
        r = network_lease(vm->runtime, record, ret_problem);
        if (r < 0) {
                g_free(record->address);
                record->address = old;
                return r;
        }
        *ret_old = old;
        return 0;
}

static int commit(VM *vm, const VMSpec *spec, SpecPayload *payload, Problem **ret_problem) {
        Runtime *rt = vm->runtime;
        Image *before = vm_image(vm), *image = before;
        g_autofree char *digest = NULL, *hash = NULL, *old_address = NULL;
        g_autoptr(VMSpec) other = NULL;
        int r;

        if (strcmp(spec->image, vm->record->spec->image) != 0)
                image = image_find(rt, vm->record->owner, spec->image);
        if (!image && !*spec->root_directory) {
                g_autofree char *shown = problem_quote(spec->image);

                return problem_set(ret_problem, "NoSuchImage", "Image", "Image: the VM's owner has no image %s", shown);
        }
        r = boot_check_machine(spec, ret_problem);
        if (r >= 0 && image)
                r = image_check_architecture(image, spec, ret_problem);
        if (r < 0)
                return r;

        r = disks_check(rt, vm->record->owner, spec, vm, ret_problem);
        if (r >= 0)
                r = quota_check_spec(rt, vm->record->owner, spec, ret_problem);
        if (r < 0)
                return r;
        other = vm_spec_copy(spec);
        digest = image ? g_strconcat("sha256:", image->hex, NULL) : g_strdup("");
        hash = g_strdup(image ? image->root_hash : "");
        for (size_t i = 0; i < G_N_ELEMENTS(followers); i++)
                vm_changing(vm, followers[i]);
        if (image)
                rt->observer->image_changing(image, "UsedBy", rt->observer_data);
        if (before)
                rt->observer->image_changing(before, "UsedBy", rt->observer_data);
        swap_wish(vm->record, &other, &digest, &hash);
        r = change_lease(vm, other, &old_address, ret_problem);
        if (r < 0) {
                swap_wish(vm->record, &other, &digest, &hash);
                return r;
        }
        r = vm_take_credentials(vm, payload, ret_problem);
        if (r >= 0) {
                r = vm_save(vm);
                if (r < 0)
                        (void) problem_set(ret_problem, "NoSpace", NULL, "the VM's record could not be written: %s",
                                g_strerror(-r));
        }
        if (r < 0) {
                if (old_address) {
                        network_release(rt, vm->record);
                        g_free(vm->record->address);
                        vm->record->address = g_steal_pointer(&old_address);
                }
                swap_wish(vm->record, &other, &digest, &hash);
                return r;
        }
        if (old_address)
                network_give_back(rt, other->network, old_address);
        if (!g_strv_equal((const char *const *) vm->record->spec->volumes, (const char *const *) other->volumes))
                (void) storage_forget_volumes(vm);
        if (!*vm->record->spec->credentials)
                vm_drop_credentials(vm);
        vm->generation++;
        return 0;
}

/* An update that waits for its ports. */
typedef struct Update {
        VM *vm; /* lives: its end ends the publication first */
        VMSpec *spec;
        VMDone done;
        void *userdata;
} Update;

static void ignore(const Problem *problem, void *userdata) {
}

/* The ports are bound already; where the record cannot be written the old ones come back. */
static int commit_ports(VM *vm, const VMSpec *spec, Problem **ret_problem) {
        uint16_t *before = vm->record->host_ports;
        g_autoptr(Problem) other = NULL;
        int r;

        vm_changing(vm, "Ports");
        vm->record->host_ports = user_network_take_ports(vm);
        r = commit(vm, spec, NULL, ret_problem);
        if (r >= 0) {
                g_free(before);
                return 0;
        }
        g_free(vm->record->host_ports);
        vm->record->host_ports = before;
        (void) user_network_publish(vm, vm->record->spec, ignore, NULL, &other);
        return r;
}

static void on_published(const Problem *problem, void *userdata) {
        g_autofree Update *u = userdata;
        g_autoptr(Problem) other = NULL;

        if (!problem && commit_ports(u->vm, u->spec, &other) < 0)
                problem = other;
        u->done(problem, u->userdata);
        vm_spec_free(u->spec);
}

int vm_update(VM *vm, const VMSpec *spec, SpecPayload *payload, VMDone done, void *userdata, Problem **ret_problem) {
        g_autofree char *keys = NULL;
        Difference difference;
        Update *u;
        int r;

        difference = compare(vm->record->spec, spec);
        if (payload && payload->credentials >= 0 && difference.for_a_start->len == 0)
                g_string_append(difference.for_a_start, "Credentials"); /* other values, perhaps */
        keys = g_string_free(difference.for_a_start, FALSE);
        r = check(vm, keys, ret_problem);
        if (r < 0)
                return r;
        if (!vm_state_is_active(vm_state(vm)) || strcmp(spec->network, NETWORK_USER) != 0 || !difference.ports) {
                r = commit(vm, spec, payload, ret_problem);
                if (r < 0)
                        return r;
                done(NULL, userdata);
                restart_review(vm);
                return 0;
        }
        u = g_new(Update, 1);
        *u = (Update){vm, vm_spec_copy(spec), done, userdata};
        r = user_network_publish(vm, spec, on_published, u, ret_problem);
        if (r < 0) {
                vm_spec_free(u->spec);
                g_free(u);
        }
        return r;
}
