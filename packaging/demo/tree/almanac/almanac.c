#include <stdio.h>
#include <time.h>

int
main(void)
{
	time_t now = time(NULL);
	struct tm *day = localtime(&now);

	if (!day)
		return 1;
	printf("day %d of %d\n", day->tm_yday + 1, day->tm_year + 1900);
	return fflush(stdout) ? 1 : 0;
}
