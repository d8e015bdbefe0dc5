/* interrupt.c - Ctrl-C and SIGTERM: stop at the next step, leave no partial file, then die of the
 * signal so that the shell sees it. SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "cli/cli.h"

static volatile sig_atomic_t caught; /* a handler can reach nothing else */

static void remember(int signal_number)
{
    caught = signal_number;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = remember,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* a second one kills at once */
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return caught != 0;
}

void cli_reraise(void)
{
    if (caught != 0) {
        signal(caught, SIG_DFL);
        raise(caught);
    }
}
