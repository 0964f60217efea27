"""System calls that a sandboxed process may make: all that Python and torch on a CPU need, and nothing else.

An allow-list, so that calls that a newer kernel adds (as io_uring once was) are refused without a change here. Numbers
are those of the kernel's uapi headers: x86_64 from `asm/unistd_64.h`, aarch64 from `asm-generic/unistd.h`.
"""

from __future__ import annotations

from types import MappingProxyType

_TABLE = (
    # files
    "read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 open:2:- close:3:57 "
    "close_range:436:436 openat:257:56 stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79 statx:332:291 "
    "statfs:137:43 fstatfs:138:44 lseek:8:62 access:21:- faccessat:269:48 faccessat2:439:439 readlink:89:- "
    "readlinkat:267:78 getcwd:79:17 chdir:80:49 fchdir:81:50 getdents:78:- getdents64:217:61 ftruncate:77:46 "
    "truncate:76:45 fallocate:285:47 fsync:74:82 fdatasync:75:83 sync_file_range:277:84 fadvise64:221:223 "
    "rename:82:- renameat:264:38 renameat2:316:276 unlink:87:- unlinkat:263:35 mkdir:83:- mkdirat:258:34 "
    "rmdir:84:- flock:73:32 copy_file_range:326:285 sendfile:40:71 umask:95:166 dup:32:23 dup2:33:- "
    "dup3:292:24 pipe:22:- pipe2:293:59 fcntl:72:25 poll:7:- ppoll:271:73 select:23:- pselect6:270:72 "
    "epoll_create1:291:20 epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22 eventfd2:290:19 "
    # memory
    "mmap:9:222 mprotect:10:226 munmap:11:215 mremap:25:216 madvise:28:233 brk:12:214 mincore:27:232 "
    "mlock:149:228 munlock:150:229 msync:26:227 membarrier:324:283 get_mempolicy:239:236 set_mempolicy:238:237 "
    "mbind:237:235 "
    # signals and threads
    "rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigtimedwait:128:137 "
    "rt_sigpending:127:136 sigaltstack:131:132 restart_syscall:219:128 futex:202:98 futex_waitv:449:449 "
    "set_robust_list:273:99 get_robust_list:274:100 rseq:334:293 set_tid_address:218:96 arch_prctl:158:- "
    "sched_yield:24:124 sched_getaffinity:204:123 sched_setaffinity:203:122 sched_getparam:143:121 "
    "sched_getscheduler:145:120 sched_get_priority_max:146:125 sched_get_priority_min:147:126 "
    "getpriority:140:141 exit:60:93 exit_group:231:94 "
    # who, when, how much
    "getrandom:318:278 gettid:186:178 getpid:39:172 getppid:110:173 getpgid:121:155 getsid:124:156 "
    "getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getgroups:115:158 getresuid:118:148 "
    "getresgid:120:150 capget:125:90 getcpu:309:168 getrlimit:97:163 getrusage:98:165 times:100:153 "
    "sysinfo:99:179 uname:63:160 clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115 "
    "nanosleep:35:101 gettimeofday:96:169 time:201:- setitimer:38:103 getitimer:36:102 alarm:37:- pause:34:- "
)
"""`name:x86_64:aarch64`; `-` where an architecture has no such call."""

_TRAINER = (
    # what Arrow, multiprocessing and the file formats use on top
    "link:86:- linkat:265:37 preadv:295:69 pwritev:296:70 preadv2:327:286 pwritev2:328:287 readahead:187:213 "
    "utimensat:280:88 epoll_create:213:- eventfd:284:- epoll_pwait2:441:441 timerfd_create:283:85 "
    "timerfd_settime:286:86 memfd_create:319:279 mlock2:325:284 rt_sigsuspend:130:133 getpgrp:111:- "
    # other processes of the same job: data loaders' workers, compilers' helpers, ranks
    "fork:57:- vfork:58:- execve:59:221 wait4:61:260 waitid:247:95 setsid:112:157 "
    # sockets that exist already, of a kind that the filter let be made
    "sendmsg:46:211 recvmsg:47:212 sendto:44:206 recvfrom:45:207 shutdown:48:210 getsockname:51:204 "
    "getpeername:52:205 getsockopt:55:209 setsockopt:54:208 bind:49:200 listen:50:201 accept:43:202 "
    "accept4:288:242 connect:42:203 "
)
"""What a trainer may call besides."""

_INSPECTED = MappingProxyType(
    {
        "clone": (56, 220),
        "clone3": (435, 435),
        "ioctl": (16, 29),
        "kill": (62, 129),
        "openat2": (437, 437),
        "prctl": (157, 167),
        "prlimit64": (302, 261),
        "socket": (41, 198),
        "socketpair": (53, 199),
        "tgkill": (234, 131),
    }
)
"""Calls that are allowed or refused by their arguments; `worker.isolation.seccomp` has the rules."""

MACHINES = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})
"""`platform.machine()` -> AUDIT_ARCH, for every machine that has a table."""


def allowed(machine: str, trainer: bool = False) -> tuple[int, ...]:
    """Numbers of the calls that are allowed whatever their arguments, ascending."""
    column = 1 + list(MACHINES).index(machine)
    rows = (row.split(":") for row in (_TABLE + _TRAINER if trainer else _TABLE).split())
    return tuple(sorted(int(row[column]) for row in rows if row[column] != "-"))


def inspected(name: str, machine: str) -> int:
    """Number of a call that is judged by its arguments."""
    return _INSPECTED[name][list(MACHINES).index(machine)]
