/* Another wall clock for one process: everything that asks for the time gets it CLOCK_OFF_SECONDS later. Monotonic clocks stay. (libfaketime 0.9.10 makes time.sleep fail with EINVAL.) */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static time_t shift(void) { const char *told = getenv("CLOCK_OFF_SECONDS"); return told ? atol(told) : 0; }
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    int result = (int)syscall(SYS_gettimeofday, now, zone);
    if (!result) now->tv_sec += shift();
    return result;
}
time_t time(time_t *where) { struct timespec now; clock_gettime(CLOCK_REALTIME, &now); if (where) *where = now.tv_sec; return now.tv_sec; }
