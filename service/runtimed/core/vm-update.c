/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives a VM that does not run another spec. */
#include <errno.h>
#include <string.h>

#include "core/boot-plan.h"
#include "core/image.h"
#include "core/network.h"
#include "core/storage.h"
#include "core/vm.h"

/* Properties that follow from the spec. */
static const char *const followers[] = {"Image", "ImageDigest", "ImageHash", "Version", "Target", "Restart", "Network",
        "Address", "Endpoint", "MACAddress", "Ports", "MemoryMiB", "VCPUs", "Architecture", "Labels"};

static int check(VM *vm, Problem **ret_problem) {
        if (vm_state_is_active(vm_state(vm)))
                return problem_set(ret_problem, "VMRunning", NULL, "VM '%s' is %s; stop it first", vm->name,
                        vm_state_to_string(vm_state(vm)));
        if (vm->job || vm->restart)
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

int vm_update(VM *vm, const VMSpec *spec, SpecPayload *payload, Problem **ret_problem) {
        Runtime *rt = vm->runtime;
        Image *before = vm_image(vm), *image = before;
        g_autofree char *digest = NULL, *hash = NULL, *old_address = NULL;
        g_autoptr(VMSpec) other = NULL;
        int r;

        r = check(vm, ret_problem);
        if (r < 0)
                return r;
        if (strcmp(spec->image, vm->record->spec->image) != 0)
                image = image_find(rt, vm->record->owner, spec->image);
        if (!image) {
                g_autofree char *shown = problem_quote(spec->image);

                return problem_set(ret_problem, "NoSuchImage", "Image", "Image: the VM's owner has no image %s", shown);
        }
        r = boot_check_machine(spec, ret_problem);
        if (r >= 0)
                r = image_check_architecture(image, spec, ret_problem);
        if (r < 0)
                return r;

        other = vm_spec_copy(spec);
        digest = g_strconcat("sha256:", image->hex, NULL);
        hash = g_strdup(image->root_hash);
        for (size_t i = 0; i < G_N_ELEMENTS(followers); i++)
                vm_changing(vm, followers[i]);
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
