#include <ctype.h>

#include "tally.h"

void
tally_stream(struct tally *sum, FILE *stream)
{
	int c, inside = 0;

	while ((c = getc(stream)) != EOF) {
		sum->bytes++;
		sum->lines += c == '\n';
		if (isspace(c))
			inside = 0;
		else if (!inside) {
			inside = 1;
			sum->words++;
		}
	}
}
