#include <stdio.h>
#include <unistd.h>

int
main(void)
{
	FILE *led = fopen("/sys/class/leds/user/brightness", "w");

	for (int on = 1; led && fprintf(led, "%d\n", on) > 0 && !fflush(led); on = !on)
		sleep(1);
	perror("blink");
	return 1;
}
