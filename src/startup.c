/* What has to be done before Rust's runtime starts. */

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

/* The runtime opens /dev/null for writing where standard output is closed, so that output is lost
   and the exit code is 0. This opens it for reading instead: what is written then fails. */
__attribute__((constructor)) static void keep_output_closed(void)
{
    if (fcntl(STDOUT_FILENO, F_GETFD) != -1)
        return;
    /* The lowest free number comes first: a closed standard input. */
    while (open("/dev/null", O_RDONLY) == STDIN_FILENO)
        ;
}

/* An empty variable counts as absent. The driver of PostgreSQL would send it, which poolers refuse. */
__attribute__((constructor)) static void drop_empty_options(void)
{
    const char *options = getenv("PGOPTIONS");
    if (options != NULL && *options == '\0')
        unsetenv("PGOPTIONS");
}

/* glibc keeps a heap for each thread, and raises the size from which memory is given back at once.
   A console is small, and stays so. */
__attribute__((constructor)) static void keep_memory_small(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
#endif
}
