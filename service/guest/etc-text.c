/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The texts of /etc/hosts and /etc/resolv.conf. All names and addresses were checked by the parser of the message. */
#include "guest/etc-text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the stream; NULL when something did not fit into memory. */
static char *finish(FILE *f, char **text) {
        bool bad = ferror(f);

        if (fclose(f) != 0 || bad) {
                free(*text);
                return NULL;
        }
        return *text;
}

char *etc_hosts_text(const struct boot_message *message) {
        char address[INET_ADDRSTRLEN] = "127.0.1.1"; /* what Debian uses for the name of a host without an address */
        char *text = NULL;
        size_t len;
        FILE *f;

        f = open_memstream(&text, &len);
        if (!f)
                return NULL;
        (void) fputs("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", f);
        if (message->has_address)
                (void) inet_ntop(AF_INET, &message->address, address, sizeof(address));
        if (message->hostname)
                (void) fprintf(f, "%s %s\n", address, message->hostname);
        for (size_t i = 0; i < message->hosts.n; i++)
                (void) fprintf(f, "%s\n", message->hosts.items[i]);
        return finish(f, &text);
}

char *etc_resolv_text(const struct boot_message *message) {
        char *text = NULL;
        size_t len;
        FILE *f;

        f = open_memstream(&text, &len);
        if (!f)
                return NULL;
        if (message->search.n > 0) {
                (void) fputs("search", f);
                for (size_t i = 0; i < message->search.n; i++)
                        (void) fprintf(f, " %s", message->search.items[i]);
                (void) fputc('\n', f);
        }
        for (size_t i = 0; i < message->dns.n; i++)
                (void) fprintf(f, "nameserver %s\n", message->dns.items[i]);
        return finish(f, &text);
}
