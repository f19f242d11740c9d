#include <stdio.h>
#include <stdlib.h>

static const struct { int value; const char *digits; } step[] = {
	{ 1000, "M" }, { 900, "CM" }, { 500, "D" }, { 400, "CD" }, { 100, "C" }, { 90, "XC" }, { 50, "L" },
	{ 40, "XL" }, { 10, "X" }, { 9, "IX" }, { 5, "V" }, { 4, "IV" }, { 1, "I" },
};

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int n = atoi(argv[i]);

		for (size_t k = 0; n > 0; k++)
			for (; n >= step[k].value; n -= step[k].value)
				fputs(step[k].digits, stdout);
		putchar('\n');
	}
	return fflush(stdout) ? 1 : 0;
}
