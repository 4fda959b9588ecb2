/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reading of all VMs' records at the start, which callers wait for: several threads share a list of names, and
 * touch nothing else of the store than the descriptor of vms/. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/name.h"
#include "model/record.h"
#include "shared/fd.h"
#include "store/store-private.h"

#define THREADS_MAX 4U
#define RECORDS_PER_THREAD 64U /* fewer are read sooner than a thread has begun */
#define RECORD_USUAL 16384U    /* more than a record has that nobody made long */

typedef struct Entry {
        char name[VM_NAME_MAX + 1];
        bool is_directory; /* for sure */
        gpointer result;   /* NULL: nobody has read it yet; atomic */
} Entry;

typedef struct Reading {
        Store *store;
        StoreVMRead read;
        const void *context;
        GArray *entries; /* Entry */
        int next;        /* the first one that nobody has taken; atomic */
} Reading;

/* One open for both where there is no link to be followed but in the last place. */
static int open_record(Store *s, const Entry *e) {
        _cleanup_close_ int dir = -1;
        char path[sizeof e->name + sizeof "/" STORE_VM_RECORD];

        if (e->is_directory) {
                (void) snprintf(path, sizeof path, "%s/" STORE_VM_RECORD, e->name);
                return store_file_open(s->vms, path, O_RDONLY | O_NONBLOCK);
        }
        dir = store_vm_directory(s, e->name);
        return store_file_open(dir, STORE_VM_RECORD, O_RDONLY | O_NONBLOCK);
}

static void *read_entry(const Reading *r, const Entry *e) {
        _cleanup_close_ int fd = open_record(r->store, e);
        char usual[RECORD_USUAL], *text = NULL;
        size_t len = 0;
        void *result;
        ssize_t n;
        int error;

        if (fd < 0)
                return r->read(fd, NULL, 0, r->context);
        n = read(fd, usual, sizeof usual);
        if (n < 0)
                return r->read(-errno, NULL, 0, r->context);
        if ((size_t) n < sizeof usual)
                return r->read(0, usual, (size_t) n, r->context);
        error = read_file(fd, RECORD_BYTES_MAX, &text, &len);
        result = r->read(error, text, len, r->context);
        free(text);
        return result;
}

/* False: all are taken. */
static bool read_next(Reading *r) {
        guint i = (guint) g_atomic_int_add(&r->next, 1);
        Entry *e;

        if (i >= r->entries->len)
                return false;
        e = &g_array_index(r->entries, Entry, i);
        g_atomic_pointer_set(&e->result, read_entry(r, e));
        return true;
}

static void *read_until_end(void *reading) {
        while (read_next(reading))
                ;
        return NULL;
}

/* Where no thread can be had the others do its part. */
static guint start_threads(Reading *r, GThread *threads[static THREADS_MAX - 1]) {
        guint wanted = MIN(g_get_num_processors(), THREADS_MAX), n = 0;

        wanted = MIN(wanted, r->entries->len / RECORDS_PER_THREAD);
        while (n + 1 < wanted && (threads[n] = g_thread_try_new("records", read_until_end, r, NULL)))
                n++;
        return n;
}

/* Reports from entry i on as far as they are read; returns the first that is not. */
static guint report(const Reading *r, guint i, StoreVMFound found, void *userdata) {
        gpointer result;

        for (; i < r->entries->len; i++) {
                Entry *e = &g_array_index(r->entries, Entry, i);

                result = g_atomic_pointer_get(&e->result);
                if (!result)
                        break;
                found(e->name, result, userdata);
        }
        return i;
}

static void add(Reading *r, const struct dirent *e) {
        Entry entry = {.is_directory = e->d_type == DT_DIR};

        (void) g_strlcpy(entry.name, e->d_name, sizeof entry.name);
        g_array_append_val(r->entries, entry);
}

static void list(Reading *r) {
        DIR *d = store_entries_open(r->store->vms);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (vm_name_is_valid(e->d_name))
                        add(r, e);
                else
                        (void) store_entry_clean(r->store, r->store->vms, e->d_name);
        if (d)
                (void) closedir(d);
}

void store_vms_load(Store *s, StoreVMRead read, const void *context, StoreVMFound found, void *userdata) {
        g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(Entry));
        Reading r = {.store = s, .read = read, .context = context, .entries = entries};
        GThread *threads[THREADS_MAX - 1];
        guint n, reported = 0;

        list(&r);
        n = start_threads(&r, threads);
        while (read_next(&r))
                reported = report(&r, reported, found, userdata);
        while (n > 0)
                (void) g_thread_join(threads[--n]);
        (void) report(&r, reported, found, userdata);
}
