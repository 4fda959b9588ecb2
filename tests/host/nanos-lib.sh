# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
# For the tests of Nanos guests: the stand-in ops and its release, and the programs that they run.

nanos=$here/nanos
nanos_conf=/etc/mcp-runtime/runtime.conf.d/nanos-test.conf

# nanos_setting [KEY=VALUE...]: what the service is told about ops, and starts with
nanos_setting() {
    mkdir -p "${nanos_conf%/*}"
    { echo '[Runtime]'; printf '%s\n' "$@"; } >"$nanos_conf"
    systemctl restart mcp-runtimed
}

# given_ops [VERSION]: the stand-in, playing that version
given_ops() {
    at_end "rm -rf /usr/local/bin/ops /usr/local/share/ops $nanos_conf; systemctl restart mcp-runtimed"
    install -m 755 "$nanos/ops" /usr/local/bin/ops
    rm -rf /usr/local/share/ops
    "$nanos/release" /usr/local/share/ops "${1:-0.1.55}"
}

# The program of most tests, static and dynamic: it says what it was given, and then what its first argument asks for.
given_programs() {
    cat >talk.c <<'END'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
extern char **environ;

static void leave(int signal) {
        (void) !write(1, "asked to stop\n", 14);
        _exit(5);
}

/* Answers every connection with the file. */
static int serve(int port, const char *file) {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (void *) &any, sizeof any) < 0 || listen(fd, 8) < 0)
                return 9;
        puts("listening");
        fflush(stdout);
        for (;;) {
                char buf[4096] = "HTTP/1.0 200 OK\r\n\r\n";
                int c = accept(fd, NULL, NULL);
                size_t n = strlen(buf);
                FILE *f = fopen(file, "r");

                (void) !read(c, buf + 1000, 3000);
                if (f)
                        n += fread(buf + n, 1, 900, f);
                else
                        n += sprintf(buf + n, "no %s\n", file);
                (void) !write(c, buf, n);
                if (f)
                        fclose(f);
                close(c);
        }
}

int main(int argc, char **argv) {
        for (int i = 0; i < argc; i++)
                printf("arg %d <%s>\n", i, argv[i]);
        for (char **e = environ; *e; e++)
                printf("env <%s>\n", *e);
        fflush(stdout);
        signal(SIGTERM, leave);
        if (argc > 1 && strcmp(argv[1], "exit") == 0)
                return atoi(argv[2]);
        if (argc > 1 && strcmp(argv[1], "abort") == 0)
                abort();
        if (argc > 1 && strcmp(argv[1], "serve") == 0)
                return serve(atoi(argv[2]), argv[3]);
        for (;;)
                pause();
}
END
    gcc -O1 -static -o talk talk.c && gcc -O1 -o talk-dynamic talk.c
}

# dynamic_image NAME PROGRAM [LIBRARY...]: an OCI archive NAME.tar with /opt/PROGRAM, its dynamic linker and these libraries
# of this machine in the places where a dynamic linker looks
dynamic_image() {
    local name=$1 program=$2
    shift 2
    rm -rf "$name.root" "$name.oci"
    mkdir -p "$name.root/opt" "$name.root/lib64" "$name.root/lib/x86_64-linux-gnu"
    cp "$program" "$name.root/opt/"
    cp -L /lib64/ld-linux-x86-64.so.2 "$name.root/lib64/"
    [ $# -eq 0 ] || cp -L "$@" "$name.root/lib/x86_64-linux-gnu/"
    umoci init --layout "$name.oci" && umoci new --image "$name.oci:1" &&
        umoci insert --image "$name.oci:1" "$name.root" / &&
        umoci config --image "$name.oci:1" --config.entrypoint "/opt/${program##*/}" --config.env FROM=image &&
        tar c -C "$name.oci" . >"$name.tar"
}
