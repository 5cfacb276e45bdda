#!/bin/bash
# The manual as a static site, in build-site/site: tools/site.sh
#
# Pages are those of docs/ and of the root; manual pages become HTML. Nothing is loaded from elsewhere, and a link to a page
# that is not there is an error. Serve it with any HTTP server: python3 -m http.server -d build-site/site
set -eu
cd "$(dirname "$0")/.."
pages=build-site/pages
rm -rf build-site
mkdir -p $pages/man $pages/bench

cp -r docs/*.md docs/*.png docs/*.svg docs/howto docs/explanation docs/works-with LICENSE $pages/
tools/messages.py >$pages/messages.md
cp ARCHITECTURE.md SECURITY.md CONTRIBUTING.md CHANGELOG.md $pages/
cp README.md $pages/index.md
cp bench/*.md $pages/bench/
cp tools/site.css $pages/
# Pages of the root name docs/X, pages of docs/ name ../X: here they lie side by side.
sed -i 's,(docs/man),(man/pgseal.1.md),g; s,(docs/,(,g; s,(\.\./\([A-Z]*\.md\)),(\1),g; s,src="docs/,src=",g' $pages/*.md
sed -i 's,](\.\./\.\./\([A-Z]*\.md\)),](../\1),g' $pages/howto/*.md $pages/explanation/*.md $pages/works-with/*.md
for page in docs/man/*; do
    name=$(basename "$page")
    {
        printf '# %s\n\n' "$(echo "$name" | sed 's/\.\([0-9]\)$/(\1)/')"
        mandoc -T html -O fragment,man=%N.%S.html "$page" | sed '/<table class="head">/,/<\/table>/d; /<table class="foot">/,/<\/table>/d; /^$/d'
    } >"$pages/man/$name.md"
done
mkdocs build --strict
tools/cards.py build-site/site
# Debian's theme names two scripts that it has under other names, or not at all.
[ -e build-site/site/js/jquery-3.6.0.min.js ] || cp /usr/share/javascript/jquery/jquery.min.js build-site/site/js/jquery-3.6.0.min.js
[ -e build-site/site/js/theme_extra.js ] || : >build-site/site/js/theme_extra.js
# Fonts, scripts and styles are files of the site.
if grep -rlE '<(script|link|img)[^>]*(src|href)="(https?:)?//' build-site/site --include='*.html' | grep -v '^$'; then
    echo 'site: a page loads something from elsewhere' >&2
    exit 1
fi
echo "site: build-site/site/index.html, $(find build-site/site -name '*.html' | wc -l) pages"
