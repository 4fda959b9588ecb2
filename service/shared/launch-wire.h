/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What mcp-runtimed and its helpers say to each other over the launch socket.
 *
 * The launch socket is AF_UNIX SOCK_SEQPACKET, owned by mcp-runtimed.socket. A helper connects, and the daemon learns
 * its unit from SO_PEERCRED uid -> LookupDynamicUserByUID. Every message is one packet that holds one JSON object with
 * a string "type"; descriptors travel with it (SCM_RIGHTS), in the order of the message's array of strings "fds".
 * Neither side trusts the other beyond its role: unknown types are ignored, bad ones end the connection.
 *
 * A monitor lives as long as its VM, so it meets daemons of later builds. What is added to a message is optional on
 * both sides, and needs no other version. Where that is not enough the daemon of the next version has to understand the
 * hello and the messages of the one before. A hello of a version that the daemon does not know is not answered: its VM
 * counts as lost after the grace time, and its unit is stopped, which is version-free (SIGTERM, the stop ladder).
 *
 * All times are microseconds; "at" and "started" since the epoch (CLOCK_REALTIME), "since" of CLOCK_MONOTONIC: the host's clock may
 * be set while a VM runs, so how long it has run is never a difference of the former.
 *
 * helper -> daemon, first message, always:
 *   {"type":"hello","version":1}                              a new instance: it asks for its launch message
 *   {"type":"hello","version":1,"boot":N,"state":STATE,       a monitor whose connection broke (daemon restarted)
 *    "pid":PID,"started":T,"since":T?,                        EXIT as in "exited"; STATE starting|running|paused|
 *    "program":BOOL,"ready":BOOL,"health":HEALTH,             stopping|exited; HEALTH none|starting|healthy|unhealthy
 *    "asked":BOOL,"exit":EXIT?}
 *
 * daemon -> helper, the answer to a first hello:
 *   {"type":"launch", ..., "fds":[...]}                       what it holds depends on the kind, see below
 *   {"type":"goodbye"}                                        nothing to do for you: exit 0
 *
 * ---- mcp-vm@ (service/monitor) ----
 * launch: "boot":N, "argv":[QEMU command, literal], "fds":[names], "log_max":bytes per log segment,
 *         "stop_timeout":usec used when systemd (SIGTERM) asks for the end, "guest":BOOL (a guest init speaks on the
 *         guest port; false for a guest that does not),
 *         "ready": "message" (the program was executed), "none" (the CPUs run), "probe" (guest init or mcp-passt probes, and
 *         says so), "console"
 *         ("ready_pattern", see shared/pattern.h, was printed by the program, or anywhere where there is no guest init),
 *         "health":{"kind":"probe"|"console","pattern":TEXT?,"start_period","interval","timeout":USEC,"retries":N}?
 *         fds: "probes"? the socket to mcp-passt where that probes the guest (probe-wire.h),
 *         "log0","log1",.. console log segments (O_RDWR, see log-line.h), "exit" the exit record (O_RDWR, see
 * below), and any number of "qemu": the k-th of them becomes descriptor QEMU_FD_FIRST + k in the QEMU process, whose
 *        descriptors 3..6 are the monitor's own channels (below). argv is literal: it names these numbers.
 *         "boot_in":K? where the machine has no fw_cfg: the boot message, descriptor "boot", is appended to the K-th
 *         "qemu" (the initrd, counted from 0) as a second archive.
 *         "vars":K? the K-th "qemu" is the file of the VM's UEFI variables; as long as it is not whole it is made a
 *         copy of the descriptor "vars-template".
 *        "environment":[KEY=VALUE]? of QEMU's process alone (a bundled QEMU's LD_LIBRARY_PATH).
 * daemon -> monitor, "id":N is echoed in the reply:
 *   {"type":"stop","id":N,"timeout":USEC,     the stop ladder within that time; 0 ends QEMU at once. "unhealthy": true
 *    "unhealthy":BOOL?}                       when that is why: the end is a failure, and by nobody's request
 *   {"type":"kill","id":N,"signal":"TERM"}    to the guest's program; "KILL" ends QEMU
 *   {"type":"pause"|"resume"|"reset","id":N}
 *   {"type":"usage","id":N}                   answered by {"type":"usage","cpu":USEC?,"memory":BYTES?} at once, and by a reply with
 *                                             "disk_read","disk_written":BYTES, where QEMU tells them
 *   {"type":"balloon","id":N,"bytes":N}       the guest's memory shall have that size
 *   {"type":"console","id":N,"write":BOOL}    with one descriptor, a stream socket: the raw bytes of the program's console
 *   {"type":"display","id":N}                 with one descriptor, a stream socket: RFB (VNC), served by QEMU without a password
 * monitor -> daemon:
 *   {"type":"reply","id":N,"error":NAME?,"message":TEXT?}     NAME an error of the interface without its prefix
 *   {"type":"running","pid":PID,"started":T,"since":T?}       QEMU, executed then, answered on QMP, and the CPUs run
 *   {"type":"program"}                                        the guest's program was executed (without guest init: the CPUs run)
 *   {"type":"ready","ready":BOOL?}                            it is ready; false: it was reset, and begins anew
 *   {"type":"memory","target":N?,"actual":N?}                 bytes: what was asked for, what the guest has; in the hello as "memory"
 *   {"type":"health","health":HEALTH}                         its health has changed
 *   {"type":"state","state":"paused"|"running"|"stopping",    seen through QMP (QEMU shuts down), or the stop ladder
 *    "asked":BOOL}                                            runs: that is asked
 *   {"type":"guest-error","message":TEXT}                     guest init could not do what it was told (untrusted text)
 *   {"type":"exited","reason":REASON,"code":N,"at":T,         QEMU is reaped, "ran" after it was executed; REASON as
 *    "ran":USEC?,"asked":BOOL,"message":TEXT?}                VM.ExitReason; asked: the stop ladder ran
 * The exit record is the same object as "exited" plus "boot", written whole with one pwrite at 0 before "exited" is
 * sent, and synced after it. A monitor whose daemon is away keeps trying to connect (the socket's backlog holds it) and
 * says its state in the hello; after QEMU's end it waits at most MONITOR_FAREWELL_USEC for a daemon before it exits.
 *
 * ---- mcp-image@ (service/worker) ----
 * launch: "op": one of
 *   "import":  fds "source" (seekable or a pipe) or "path":TEXT with "roots":[TEXT] (opened by the worker beneath a
 *              root, through no symbolic link), and "output" (an empty file, O_RDWR), "archive"? (another, for the image as an
 *              OCI archive). "architecture":"x86_64";
 *              "limits":{"bytes","entries","layers","depth","manifest","name"}, each optional;
 *              "name":TEXT? what a lone program is called in /usr/local/bin ([A-Za-z0-9._+-]{1,64}, default "program")
 *              -> done: {"kind":"elf|oci|docker","digest":"sha256:..." (of the manifest, which is made where there is none),
 *                 "program":"sha256:..."? (of the file, for an ELF), "architecture":..., "size":bytes of output,
 *                 "layers":["sha256:..."] lowest first, "config_digest":TEXT, "name":TEXT? (reference found in the archive),
 *                 "config":{"entrypoint":[],"cmd":[],"env":[],"user":"","workdir":"","stop_signal":"","ports":["80/tcp"],
 *                 "labels":{}?},
 *                 "chain":["sha256:..."]? of an OCI archive, the digests that were followed to the manifest's}
 *   "initrd":  fds "guest-init", "modules" (O_PATH directory /lib/modules/VERSION), "output"; "modules":[names wanted;
 *              "NAME?" may be missing], "kernel":TEXT? for messages
 *              -> done: {"size":N}
 *   "volumes": fds "output", and "archive0", "archive1", ... (tars, seekable or pipes), or "paths":[TEXT] with "roots":[TEXT]
 *              as above, files or directories; "limits" likewise. Path or tar number K becomes the entry "K" of the SquashFS.
 *              -> done: {"size":N}
 *   "format":  fds "disk" (a regular file that others may open, of its full size); "mkfs":PATH of mkfs.ext4, "label":TEXT
 *              -> done: {"size":N}
 *   "hash":    fds "file" -> done: {"digest":"sha256:...","size":N}
 *   "nanos":   fds "root" (a SquashFS), "output"; "ops":PATH, "home":PATH (its .ops is a release), "argv":[], "env":[],
 *              "workdir":TEXT, "architecture":TEXT, "address":"A/PREFIX"? with "gateway":A, "bytes":N of program and libraries
 *              at most, "timeout":USEC, "mounts":[{"image","place","path"}] with fds "volumes" and "archives" (as "volumes" makes
 *              them), where the image is one of the two, the place lies in it, and the path is the guest's -> done: {"program":PATH in the image, "size":N, "exit_code":BOOL (this ops can tell it)}
 *   "old-state": "path" beneath one of "roots", fd "output" -> done: {"vms":N}; worker/old-state.c says what it writes
 *   each with "memory":bytes and "cpu":seconds, which the worker sets as limits on itself (0 or missing: none)
 *   "profile-ingest": fds "source" or "path" with "roots", "output" (an empty file: the manifest); "profile":TEXT,
 *              "arch","qemu_version","build_date","build_host":TEXT?, "limits"?
 *              worker asks {"type":"outputs","n":N}, the daemon answers {"type":"outputs"} with up to N empty files; the
 *              worker fills them in order and tells {"type":"object","hash":HEX,"executable":BOOL} of each.
 *              -> done: {"digest":HEX of the manifest,"profile","created_at":usec,"qemu_version","arch","bytes","objects",
 *                 "binaries","libraries","firmware","modules":BOOL,"programs":["qemu-system-..."],"loader":"lib/..."|""}
 *   "profile-unpack": the same of an artifact: fd "source" is an OCI archive (a file), "digest":"sha256:..." of the artifact's
 *              manifest in it. A manifest of the profile that came along is kept as it is, and compared with what the layer has.
 *   "profile-pack": fds "manifest", "archive" (an empty file). Worker asks {"type":"objects","list":[{"path","hash"}]}, at most 16,
 *              the daemon answers {"type":"objects"} with a descriptor for each; all are asked for twice
 *              -> done: {"digest":"sha256:..." of the artifact's manifest in the OCI archive,"profile"}
 *   "profile-scan": worker asks {"type":"next"}, the daemon answers {"type":"next"} with "file":NAME and one descriptor, or
 *              with neither at the end; the worker tells {"type":"names","list":[HEX]} where "names" is true in the launch
 *              message, then {"type":"manifest","file":NAME, ...} as done above, or with
 *              "error" and "message" -> done: {}
 *   "profile-check": fds "manifest"; "profile":TEXT that it must be of. Worker asks {"type":"place","list":[{"path","hash",
 *              "executable"}]} for up to PROFILE_BATCH entries, the daemon links them and answers {"type":"placed","list":
 *              [{"entry":INDEX,"copy":BOOL}]} with a descriptor to read for each, and with one to copy to behind it where
 *              "copy" is true -> done: as for profile-ingest
 *   "qemu-version": "programs":[PATH], or [NAME] of bin/ with the descriptor "bundle" and "loader":"lib/..."|""
 *              -> done: {"versions":{PROGRAM:"7.2.22"|""}}
 *   worker -> daemon:
 *   {"type":"progress","fraction":0..1,"stage":TEXT}          at most ten a second
 *   {"type":"log","level":N,"text":TEXT}                      level as syslog
 *   {"type":"digest","digest":"sha256:..."}                   "import", before anything is unpacked: as in done
 *   {"type":"done", ...} or {"type":"failed","error":NAME,"message":TEXT}, then it exits.
 *
 * ---- mcp-fetch@ (service/fetch) ----
 * launch: "op", "skopeo":PATH, "registry":HOST[:PORT], "insecure":BOOL, and fds "archive" (see op) and "credentials"?
 *         (a sealed memfd: containers-auth.json of that registry), and one of
 *   "pull":  "repository":HOST[:PORT]/PATH, "tag":TEXT or "digest":"sha256:...", "architecture":"x86_64"; the archive is an
 *            empty file (O_RDWR)
 *            helper -> daemon: {"type":"resolved","digest":"sha256:..." (of the reference),"manifest":"sha256:..." (of this
 *            architecture),"size":bytes of its blobs,"artifact":TYPE?}; then it waits for
 *            daemon -> helper: {"type":"go","bytes":N at most}
 *            -> done: {"digest","manifest","size":bytes of the archive,"artifact"?}
 *   "push":  "destination":HOST[:PORT]/PATH:TAG, "digest":"sha256:..." of the manifest in the OCI archive (read only)
 *            -> done: {"digest"}
 *   progress, log, done and failed as with mcp-image@.
 *
 * ---- mcp-passt@ (service/helpers) ----
 * launch: "argv":[passt command; its --fd is PASST_FD], "boot":N, "fds":["socket","probes"?]. A forward "ADDRESS/0:GUEST" gets a free
 *   port. "ready":PROBE?, "health":PROBE? (PROBE as in guest-wire.h, of kind tcp or http): how the guest is probed by frames,
 *   with the fd "probes" to the VM's monitor (probe-wire.h).
 *   helper -> daemon: {"type":"ready","picked":[PORT...]} when passt has bound its ports (those picked, in argv's order), or
 * {"type":"failed","error":"PortInUse"|"ToolMissing"|"Failed","message":TEXT of passt}. It ends with the other side of its socket, or when
 * passt ends.
 *   daemon -> helper: {"type":"forwards","id":N,"argv":[...]}: passt is exchanged for one with other forwards
 *   -> {"type":"reply","id":N,"picked":[PORT...],"error":NAME?,"message":TEXT?}; with an error the old forwards are in place.
 * When the daemon was away it says hello again, with "boot":N.
 *
 * ---- mcp-tpm@ (service/helpers) ----
 * launch: "argv":[swtpm command; its descriptors are TPM_FD and TPM_STATE_FD], "fds":["socket","state"]
 *   helper -> daemon: {"type":"ready"}, or {"type":"failed","error":"ToolMissing"|"Failed","message":TEXT}; then the
 *   connection ends, because it has become swtpm, which ends with the other side of its socket.
 *
 * ---- mcp-kvm-probe@ (service/helpers) ----
 * launch: nothing more. helper -> daemon: {"type":"done","usable":BOOL,"message":TEXT why}, then it exits.
 */

#define LAUNCH_SOCKET_PATH "/run/mcp-runtime/launch"
#define LAUNCH_WIRE_VERSION 1

/* Largest packet either side accepts; the kernel's default SO_SNDBUF (212992) must hold it. */
#define LAUNCH_MESSAGE_MAX (128U * 1024U)

/* Most descriptors in one message (the kernel's own limit, SCM_MAX_FD, is 253). */
#define LAUNCH_FDS_MAX 64U

/* Descriptors of the QEMU process, in the order argv counts on. */
#define QEMU_FD_QMP 3     /* stream socket: QMP */
#define QEMU_FD_SERIAL 4  /* stream socket: first serial port, the kernel's console */
#define QEMU_FD_CONSOLE 5 /* stream socket: virtio console, the program's own */
#define QEMU_FD_GUEST 6   /* stream socket: virtio-serial port org.mcp.guest */
#define QEMU_FD_FIRST 7   /* descriptors handed through by the daemon */

#define PASST_FD 3

#define TPM_FD 3       /* swtpm's control channel */
#define TPM_STATE_FD 4 /* what it remembers */

/* The gateway that passt plays: connections from the host's loopback come from there. Link-local in IPv6 whatever the host's own gateway is,
 * because to passt the gateway's address is the host's loopback. */
#define PASST_GATEWAY "10.0.2.2"
#define PASST_GATEWAY6 "fe80::1"

/* The guest of user networking. */
#define USER_NET_ADDRESS "10.0.2.15"

/* How long a monitor with an exit to tell waits for a daemon that is away; the exit record tells it otherwise. */
#define MONITOR_FAREWELL_USEC (2U * 1000U * 1000U)
