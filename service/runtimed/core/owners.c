/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the names of owners with those in the records of what they own. */
#include "core/owners.h"

#include <string.h>

#include "core/image-private.h"
#include "core/job-record.h"
#include "core/users.h"
#include "core/vm.h"
#include "shared/log.h"

/* True where the record had no name, and has it now. */
static bool review(char **recorded, const char *now, uint32_t uid, const char *what, const char *id) {
        if (!**recorded) {
                if (!*now)
                        return false;
                g_free(*recorded);
                *recorded = g_strdup(now);
                return true;
        }
        if (strcmp(*recorded, now) != 0)
                log_warning("%s%s: it was created by user '%s', and uid %u is '%s' now; see who owns it", what, id,
                        *recorded, uid, now);
        return false;
}

static void review_vm(VM *vm, uint32_t uid, const char *name) {
        if (vm->record && vm->record->owner == uid && review(&vm->record->owner_name, name, uid, "", vm->name))
                vm_save_soon(vm);
}

static void review_image(Image *image, uint32_t uid, const char *name) {
        if (image->owner == uid && review(&image->owner_name, name, uid, "image ", image->id))
                (void) image_save(image);
}

static void review_job(Job *job, uint32_t uid, const char *name) {
        g_autofree char *id = g_strdup_printf("%u", job->id);

        if (job->owner == uid && review(&job->owner_name, name, uid, "job ", id))
                job_record_save(job);
}

void owners_named(uint32_t uid, const char *name, void *userdata) {
        Runtime *rt = userdata;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                review_vm(value, uid, name);
        g_hash_table_iter_init(&iter, rt->images);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                review_image(value, uid, name);
        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                review_job(value, uid, name);
}

void owners_review(Runtime *rt) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                (void) users_name(rt->users, vm_owner(value));
        g_hash_table_iter_init(&iter, rt->images);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                (void) users_name(rt->users, ((Image *) value)->owner);
        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                (void) users_name(rt->users, ((Job *) value)->owner);
}
