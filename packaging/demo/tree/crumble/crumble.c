#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	long size = argc > 1 ? atol(argv[1]) : 4096;
	char name[32];
	int c;

	for (long n = 0; size > 0 && (c = getchar()) != EOF; n++) {
		snprintf(name, sizeof name, "piece.%ld", n / size);
		if (n % size == 0 && !freopen(name, "w", stdout))
			return 1;
		putchar(c);
	}
	return fflush(stdout) ? 1 : 0
}
