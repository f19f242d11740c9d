// Comfort only: every page is complete without this file.
(() => {
  "use strict";
  var each = (list, work) => Array.from(list).forEach(work);

  // How long ago, next to the absolute time.
  function ago(then, now) {
    var s = Math.round((now - then) / 1000), future = s < 0, t = Math.abs(s), text;
    if (t < 60) text = t + " s";
    else if (t < 3600) text = Math.floor(t / 60) + " min";
    else if (t < 172800) text = Math.floor(t / 3600) + " h";
    else text = Math.floor(t / 86400) + " days";
    return future ? "in " + text : text + " ago";
  }
  function tell() {
    each(document.querySelectorAll("time[datetime]"), time => {
      var then = Date.parse(time.dateTime), note = time.querySelector("span");
      if (isNaN(then)) return;
      if (!note) { note = document.createElement("span"); time.appendChild(note); }
      note.textContent = " (" + ago(then, Date.now()) + ")";
    });
    each(document.querySelectorAll(".made"), made => {
      var time = made.querySelector("time");
      var old = time && Date.now() - Date.parse(time.dateTime) > 1800000;
      made.classList.toggle("stale", Boolean(old));
    });
  }
  tell();
  setInterval(() => document.hidden || tell(), 30000);

  // Columns that sort.
  function value(row, at) {
    var cell = row.cells[at], time = cell && cell.querySelector("time");
    return time ? time.dateTime : cell ? cell.textContent.trim() : "";
  }
  each(document.querySelectorAll("table.sortable"), table => {
    each(table.tHead.rows[0].cells, (head, at) => {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", () => {
        var down = head.getAttribute("aria-sort") === "ascending", body = table.tBodies[0];
        each(table.tHead.rows[0].cells, other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        Array.from(body.rows).sort((a, b) => {
          var order = value(a, at).localeCompare(value(b, at), "en", { numeric: true });
          return down ? -order : order;
        }).forEach(row => body.appendChild(row));
      });
    });
  });

  // A box that hides the rows that do not match.
  each(document.querySelectorAll("table.filter"), table => {
    var box = document.createElement("input");
    box.type = "search";
    box.placeholder = "Filter";
    box.setAttribute("aria-label", "Filter the table: " + table.caption.textContent);
    table.parentNode.before(box);
    box.addEventListener("input", () => {
      var wanted = box.value.toLowerCase();
      each(table.tBodies[0].rows, row => {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
    });
  });

  // While somebody looks at what may change, asks whether it has.
  function poll(what, address, seconds, work) {
    if (location.protocol !== "file:") setInterval(() => {
      var shown = document.querySelectorAll(what);
      if (document.hidden || !shown.length) return;
      fetch(address).then(answer => answer.ok ? answer.text() : Promise.reject())
        .then(text => work(text, shown)).catch(() => {});
    }, seconds * 1000);
  }

  // A newer site is said; reloading is the reader's business.
  poll(".verdict .made time:not(.old)", "status.json", 60, (text, made) => {
    made = made[0];
    if (Date.parse(JSON.parse(text).made) - Date.parse(made.dateTime) > 1000) {
      var link = document.createElement("a");
      link.href = "";
      link.textContent = " There is a newer one.";
      made.className = "old";
      made.parentNode.appendChild(link);
    }
  });

  // The end of a log that grows; when it does no more, all of the page is another.
  poll(".log.live", "", 15, (text, logs) => {
    var fresh = new DOMParser().parseFromString(text, "text/html").querySelectorAll(".log.live");
    if (!fresh.length) location.reload();
    each(logs, (log, at) => { if (fresh[at]) log.innerHTML = fresh[at].innerHTML; });
  });
})();
