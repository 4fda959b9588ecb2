/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the initrd that carries a boot message. */
#include "monitor/boot-archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cpio.h"
#include "shared/fd.h"
#include "shared/guest-wire.h"

#define ARCHIVE_ALIGN 4 /* the kernel looks for the next archive there */

/* Returns how many bytes. */
static off_t copy_file(int from, int to) {
        off_t at = 0;
        struct stat st;

        if (fstat(from, &st) < 0)
                return -errno;
        while (at < st.st_size) {
                ssize_t n = sendfile(to, from, &at, (size_t) (st.st_size - at));

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
        }
        return at;
}

static int append(int fd, int boot_message) {
        static const char zeros[ARCHIVE_ALIGN];
        struct cpio cpio;
        char *data = NULL;
        off_t size = lseek(fd, 0, SEEK_END);
        size_t len;
        int r;

        r = read_file(boot_message, GUEST_BOOT_MAX, &data, &len);
        if (r >= 0)
                r = write_all(fd, zeros, (size_t) (-size % ARCHIVE_ALIGN + ARCHIVE_ALIGN) % ARCHIVE_ALIGN);
        cpio_init(&cpio, fd);
        if (r >= 0)
                r = cpio_file(&cpio, GUEST_BOOT_FILE, 0400, data, len);
        if (r >= 0)
                r = cpio_finish(&cpio);
        free(data);
        return r;
}

int boot_archive_append(int initrd, int boot_message) {
        _cleanup_close_ int fd = memfd_create("initrd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        off_t size;
        int r;

        if (fd < 0)
                return -errno;
        size = copy_file(initrd, fd);
        if (size < 0)
                return (int) size;
        r = append(fd, boot_message);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        return take_fd(&fd);
}
