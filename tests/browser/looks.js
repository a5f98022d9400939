// Everything about how a page looks that a person would stumble over, as a list of sentences.
(() => {
    const wrong = [];
    const root = document.documentElement;
    const name = e => `<${e.localName}${e.id && '#' + e.id}${e.className && '.' + e.className}>`;
    if (root.scrollWidth > innerWidth)
        wrong.push(`it is ${root.scrollWidth} wide, on a screen of ${innerWidth}`);
    if (!root.lang) wrong.push('no language');
    if (!document.title) wrong.push('no title');
    if (document.querySelectorAll('h1').length !== 1) wrong.push('not one <h1>');

    // WCAG 2.1, relative luminance and contrast ratio.
    const colour = text => (text.match(/[\d.]+/g) || []).map(Number);
    const luminance = ([r, g, b]) => {
        const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const behind = e => {
        for (; e; e = e.parentElement) {
            const c = colour(getComputedStyle(e).backgroundColor);
            if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
        }
        return matchMedia('(prefers-color-scheme: dark)').matches
            && getComputedStyle(root).colorScheme.includes('dark') ? [18, 18, 18] : [255, 255, 255];
    };
    const seen = e => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim(), e = walker.currentNode.parentElement;
        if (!text || !seen(e) || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
        const style = getComputedStyle(e);
        const [a, b] = [luminance(colour(style.color)), luminance(behind(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) wrong.push(`${name(e)} ${text.slice(0, 30)}: contrast ${ratio.toFixed(1)}`);
        if (parseFloat(style.fontSize) < 12) wrong.push(`${name(e)}: letters of ${style.fontSize}`);
        const box = e.getBoundingClientRect();
        if (box.right > innerWidth + 1 || box.left < -1) {
            const scrolls = [...function* (e) { for (; e; e = e.parentElement) yield e; }(e)]
                .some(e => ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(e).overflowX));
            if (!scrolls) wrong.push(`${name(e)} ${text.slice(0, 30)}: out of the screen`);
        }
    }
    for (const e of document.querySelectorAll('a, button, input, select, textarea, summary')) {
        if (!seen(e) || e.type === 'hidden') continue;
        const { width, height } = e.getBoundingClientRect();
        if (getComputedStyle(e).display !== 'inline' && (width < 24 || height < 24))
            wrong.push(`${name(e)}: ${width.toFixed(0)} by ${height.toFixed(0)} are hard to touch`);
        const said = e.labels?.length || e.ariaLabel || e.textContent.trim() || e.title
            || e.getAttribute('aria-labelledby') || e.querySelector('img[alt]');
        if (!said) wrong.push(`${name(e)} has no name`);
    }
    for (const e of document.images) {
        if (!e.alt && e.getAttribute('alt') === null) wrong.push(`${name(e)} has no alt`);
        if (!e.complete || !e.naturalWidth) wrong.push(`${e.src} is broken`);
    }
    return wrong;
})()
