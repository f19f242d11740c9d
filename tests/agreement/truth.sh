# What bash says: operands CARCH PRELUDE DIRECTORY RECIPE. A plain bash, the prelude as it is, the recipe, and then each
# field as NAME, the number of its values, and the values, each NUL-terminated. Nothing is said about one that exits.
exec 3>&1 >/dev/null 2>&1 </dev/null
CARCH=$1
truth_prelude=$2 truth_recipe=$4
cd "$3" || exit
set --
source "$truth_prelude"
source "./$truth_recipe"
truth() {
	local -n truth_value=$1
	printf '%s\0' "$1" "${#truth_value[@]}" "${truth_value[@]}" >&3
}
for truth_name in pkgname pkgver pkgrel nobuild archs subpkgs suboptions groups depends makedepends checkdepends provides options; do
	truth "$truth_name"
done
