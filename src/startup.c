/* Rust's runtime opens /dev/null for writing where standard output is closed, so that output is
   lost and the exit code is 0. This runs before it, and opens it for reading instead: what is
   written then fails. */

#include <fcntl.h>
#include <unistd.h>

__attribute__((constructor)) static void keep_output_closed(void)
{
    if (fcntl(STDOUT_FILENO, F_GETFD) != -1)
        return;
    /* The lowest free number comes first: a closed standard input. */
    while (open("/dev/null", O_RDONLY) == STDIN_FILENO)
        ;
}
