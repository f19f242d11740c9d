#include <stdio.h>

int
main(void)
{
	int c, n = 0;

	while ((c = getchar()) != EOF)
		printf(++n % 16 ? "%02x " : "%02x\n", c);
	if (n % 16)
		putchar('\n');
	return fflush(stdout) ? 1 : 0;
}
