/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/boot-message.h"

/* The texts of the files below /etc that guest init writes over the image. The caller frees; NULL: no memory. */

/* /etc/hosts: localhost, the VM's own name, what the boot message adds. */
char *etc_hosts_text(const struct boot_message *message);

/* /etc/resolv.conf, in the order of the message. */
char *etc_resolv_text(const struct boot_message *message);
