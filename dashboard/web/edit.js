// The editor of lists works without this file: its button checks the text. With
// it, the text is checked while it is being typed.
'use strict';
(function () {
  const form = document.getElementById('editor');
  const text = document.getElementById('text');
  const verdict = document.getElementById('verdict');
  if (!form || !text || !verdict) return;
  let timer = 0;
  let asking = null;

  function show(r) {
    verdict.classList.toggle('wrong', r.problem !== '');
    verdict.textContent = r.problem || (r.rules === 1 ? '1 rule' : r.rules + ' rules') + ', no mistake.';
    text.setAttribute('aria-invalid', String(r.problem !== ''));
  }

  async function check() {
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(form.dataset.check, { method: 'POST', body: new URLSearchParams({ text: text.value }), signal: asking.signal });
      if (answer.ok) show(await answer.json());
    } catch (e) {
      // offline, or overtaken by the next letter: the button checks again
    }
  }

  text.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(check, 350);
  });
})();
