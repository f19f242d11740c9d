#include <tally.h>

int
main(void)
{
	struct tally sum = { 0, 0, 0 };

	tally_stream(&sum, stdin);
	printf("%zu %zu %zu\n", sum.lines, sum.words, sum.bytes);
	return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
