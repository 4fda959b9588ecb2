/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns vms/NAME: a VM's record and what belongs to it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/atomic-file.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "store/store-private.h"

int store_vm_directory(Store *s, const char *name) {
        return store_file_open(s->vms, name, O_RDONLY | O_DIRECTORY);
}

bool store_vm_is_saved(Store *s, const char *name, json_t *record) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        return dir >= 0 && store_record_is_saved(dir, STORE_VM_RECORD, record);
}

int store_vm_save(Store *s, const char *name, json_t *record) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        if (dir == -ENOENT) {
                dir = store_subdirectory(s->vms, name);
                if (dir >= 0 && fsync(s->vms) < 0)
                        return -errno;
                CRASH_POINT(CREATE_DIRECTORY);
        }
        return dir < 0 ? dir : store_record_save(dir, STORE_VM_RECORD, record);
}

int store_vm_remove(Store *s, const char *name) {
        g_autofree char *tmp = g_strdup_printf(ATOMIC_TMP_PREFIX "gone-%s", name);

        if (renameat(s->vms, name, s->vms, tmp) < 0)
                return errno == ENOENT ? 0 : -errno;
        (void) fsync(s->vms); /* it has no name any more, whatever a failing disk says */
        CRASH_POINT(REMOVE_RENAMED);
        store_directory_remove(s->vms, tmp);
        CRASH_POINT(REMOVE_FILES);
        return 0;
}

int store_vm_remove_empty(Store *s, const char *name) {
        return unlinkat(s->vms, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int store_vm_open(Store *s, const char *name, const char *file, int flags) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        return store_file_open(dir, file, flags);
}

int store_vm_put(Store *s, const char *name, const char *file, const void *data, size_t len, mode_t mode) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        return dir < 0 ? dir : atomic_write(dir, file, data, len, mode);
}

int store_vm_create(Store *s, const char *name, char **ret_tmp) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        return dir < 0 ? dir : store_temporary_create(s, dir, ret_tmp);
}

int store_vm_commit(Store *s, const char *name, const char *tmp, const char *file) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        return dir < 0 ? dir : store_temporary_commit(s, dir, tmp, file, 0400);
}

void store_vm_discard(Store *s, const char *name, const char *tmp) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        if (dir >= 0)
                store_temporary_discard(s, dir, tmp);
}

uint64_t store_vm_size(Store *s, const char *name, const char *file) {
        _cleanup_close_ int dir = store_vm_directory(s, name);
        struct stat st;

        return dir >= 0 && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t) st.st_size : 0;
}

int store_vm_unlink(Store *s, const char *name, const char *file) {
        _cleanup_close_ int dir = store_vm_directory(s, name);

        if (dir < 0)
                return dir == -ENOENT ? 0 : dir;
        return unlinkat(dir, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}
