# Reads recipes inside the sandbox: operands FORMAT CARCH PRELUDE. For each request BEGIN PATH NUL END on standard
# input, after a first NUL, it writes BEGIN, the recipe's fields as KEY=VALUE, and END to standard output, each NUL-terminated.
# BEGIN and END have 24 bytes: what has no end to be looked for is read at once.
#
# A recipe is sourced in a process of its own, and cannot learn END: that is read only after all of its processes
# are dead, from a socket, which nobody can open a second time through /proc. This shell cannot be debugged: its
# file may not be read, so the kernel lets nobody look into it.
exec 8>&1 9<&0 >/dev/null </dev/null
syncpkg_format=$1 syncpkg_carch=$2 syncpkg_prelude=$3
set --
CARCH=$syncpkg_carch
# The schemes may come while this is started.
IFS= read -r -d '' -u 9 || exit 1

# In place of the prelude's own, which forks five times to find the directory, and does not say what it included.
Fincdir=/tree/source/include
Finclude() {
	[[ $startdir == "$PWD" ]] || return 0
	local i
	for i; do
		builtin printf 'scheme=%s\0' "$i" >&8
		source "$Fincdir/$i.sh" || Fdie
	done
}
readonly -f Finclude
Fdie() { exit 2; }

if [[ -n $syncpkg_prelude ]]; then
	[[ -r $syncpkg_prelude ]] || { printf '%s\n' "the prelude cannot be read" >&2; exit 1; }
	startdir=$PWD
	source "$syncpkg_prelude"
fi
set +efnu
shopt -u failglob
trap - EXIT ERR DEBUG RETURN
unset IFS BASH_ENV ENV

# There is no network; these fail at once what would only fail later.
curl() { return 6; }
wget() { return 4; }
lynx() { return 1; }
# What schemes ask of these for each of hundreds of sub-packages they are told without a program, when it is one short
# line; anything else goes to the program. A NUL, and what comes after 4096 bytes, is not in syncpkg_text.
syncpkg_hand_on() {
	{ printf '%s' "$syncpkg_text"; ((${#syncpkg_text} == 4096)) || printf '\0'; cat; } | command "$@"
}
cut() {
	local LC_ALL=C syncpkg_text
	if [[ $# != 4 || "$1 $2 $3" != '-d : -f' || $4 != [12] ]]; then
		command cut "$@"
	elif IFS= read -r -d '' -n 4096 syncpkg_text; then
		syncpkg_hand_on cut "$@"
	elif [[ ${syncpkg_text%$'\n'} == *$'\n'* || -z $syncpkg_text ]]; then
		printf '%s' "$syncpkg_text" | command cut "$@"
	else
		syncpkg_text=${syncpkg_text%$'\n'}
		[[ $4 == 1 ]] || syncpkg_text=${syncpkg_text#*:}
		printf '%s\n' "${syncpkg_text%%:*}"
	fi
}
tr() {
	local LC_ALL=C syncpkg_text
	if [[ $# != 2 || $1 != '[A-Z]' || $2 != '[a-z]' ]]; then
		command tr "$@"
	elif IFS= read -r -d '' -n 4096 syncpkg_text; then
		syncpkg_hand_on tr "$@"
	else
		printf '%s' "${syncpkg_text,,}"
	fi
}
basename() {
	if [[ $# != 1 || $1 != [!-]* || $1 == */ ]]; then
		command basename "$@"
	else
		printf '%s\n' "${1##*/}"
	fi
}
# It takes 20 ms to start, and Debian says the same by its name.
python3() {
	local syncpkg_text
	if [[ "$*" == '-c import sysconfig; print(sysconfig.get_python_version())' && $# == 2 && -z ${!PYTHON*} ]] &&
		[[ $(type -P python3) == /usr/bin/python3 && ! -e sysconfig && ! -e sysconfig.py ]]; then
		for syncpkg_text in /usr/bin/python3.*; do
			[[ ${syncpkg_text##*/python} == 3.+([0-9]) && $syncpkg_text -ef /usr/bin/python3 ]] || continue
			printf '%s\n' "${syncpkg_text##*/python}"
			return
		done
	fi
	command python3 "$@"
}
# It takes 30 ms to start, and says nothing when those before it in the pipe said nothing.
jq() {
	local syncpkg_first
	type -P jq >/dev/null || return 127
	if (($# == 2)) && [[ $1 == -r && $2 == .* ]]; then
		IFS= read -r -N 1 syncpkg_first || return 0
		{ printf '%s' "$syncpkg_first"; cat; } | command jq "$@"
	else
		command jq "$@"
	fi
}

syncpkg_recipe() {
	local syncpkg_file=./${1##*/}
	[[ -f /tree/$1 ]] && cd "/tree/${1%"${1##*/}"}" || { printf 'irregular=yes\0' >&8; return; }
	startdir=$PWD srcdir=$PWD/src pkgdir=$PWD/pkg
	Fsrcdir=$srcdir Fdestdir=$pkgdir
	set --
	source "$syncpkg_file"
	# In this mode no function of the recipe's can stand before the special builtins.
	POSIXLY_CORRECT=1
	set +efknu
	unset -f printf local declare
	if [[ $syncpkg_format == frugalbuild ]]; then
		set -- "${archs[@]/#/arch=}" "${subpkgs[@]/#/subpkg=}" "${suboptions[@]/#/suboption=}"
	else
		# Frugalware's packages have no epoch.
		local -n syncpkg_depends=depends_$syncpkg_carch syncpkg_makedepends=makedepends_$syncpkg_carch
		set -- "${epoch/#/epoch=}" "${arch[@]/#/arch=}" "${syncpkg_depends[@]/#/depend=}" \
			"${syncpkg_makedepends[@]/#/makedepend=}"
	fi
	printf '%s\0' "${pkgbase/#/base=}" "${pkgname[@]/#/name=}" "${pkgver/#/version=}" "${pkgrel/#/release=}" \
		"${nobuild/#/nobuild=}" "${options[@]/#/option=}" "${groups[@]/#/group=}" \
		"${depends[@]/#/depend=}" "${makedepends[@]/#/makedepend=}" "${checkdepends[@]/#/checkdepend=}" \
		"${provides[@]/#/provide=}" "$@" read=yes >&8
}

syncpkg_left() {
	shopt -s dotglob
	set -- /tmp/*
	shopt -u dotglob
	[[ -e $1 || -L $1 ]]
}

# A recipe may lower the limits of this shell, and so those of the recipes after it.
IFS= read -r -d '' syncpkg_limits </proc/$$/limits
exec >&8
printf 'ready\0'
while IFS= read -r -N 24 -u 9 syncpkg_begin && IFS= read -r -d '' -u 9 syncpkg_path; do
	printf '%s\0' "$syncpkg_begin"
	(
		exec 9<&- >/dev/null
		ulimit -t 3
		unset syncpkg_begin
		syncpkg_recipe "$syncpkg_path"
	)
	# Until they are gone: who is only dying still counts against the limit on processes.
	while builtin kill -9 -1 2>/dev/null; do :; done
	IFS= read -r -d '' syncpkg_now </proc/$$/limits
	[[ $syncpkg_now == "$syncpkg_limits" ]] || exit 1
	if syncpkg_left; then
		find /tmp -mindepth 1 -delete 2>/dev/null
		! syncpkg_left || exit 1
	fi
	IFS= read -r -N 24 -u 9 syncpkg_end
	printf '%s\0' "$syncpkg_end"
	unset syncpkg_end
done
