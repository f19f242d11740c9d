#ifndef TALLY_H
#define TALLY_H

#include <stddef.h>
#include <stdio.h>

struct tally { size_t lines, words, bytes; };

/* Adds what is left of a stream. */
void tally_stream(struct tally *sum, FILE *stream);

#endif
