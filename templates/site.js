// Comfort only: every page is complete without this file.
(function () {
  "use strict";
  var each = function (list, work) { Array.prototype.forEach.call(list, work); };

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
    each(document.querySelectorAll("time[datetime]"), function (time) {
      var then = Date.parse(time.getAttribute("datetime")), note = time.querySelector("span");
      if (isNaN(then)) return;
      if (!note) { note = document.createElement("span"); time.appendChild(note); }
      note.textContent = " (" + ago(then, Date.now()) + ")";
    });
    each(document.querySelectorAll(".made"), function (made) {
      var time = made.querySelector("time");
      var old = time && Date.now() - Date.parse(time.getAttribute("datetime")) > 1800000;
      made.classList.toggle("stale", Boolean(old));
    });
  }
  tell();
  setInterval(function () { if (!document.hidden) tell(); }, 30000);

  // Columns that sort.
  function value(row, at) {
    var cell = row.cells[at], time = cell && cell.querySelector("time");
    return time ? time.getAttribute("datetime") : cell ? cell.textContent.trim() : "";
  }
  each(document.querySelectorAll("table.sortable"), function (table) {
    each(table.tHead.rows[0].cells, function (head, at) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending", body = table.tBodies[0];
        each(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        Array.prototype.slice.call(body.rows).sort(function (a, b) {
          var order = value(a, at).localeCompare(value(b, at), "en", { numeric: true });
          return down ? -order : order;
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  });

  // A box that hides the rows that do not match.
  each(document.querySelectorAll("table.filter"), function (table) {
    var box = document.createElement("input");
    box.type = "search";
    box.placeholder = "Filter";
    box.setAttribute("aria-label", "Filter the table: " + table.caption.textContent);
    table.parentNode.parentNode.insertBefore(box, table.parentNode);
    box.addEventListener("input", function () {
      var wanted = box.value.toLowerCase();
      each(table.tBodies[0].rows, function (row) {
        row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0;
      });
    });
  });

  // When the site was made anew, say so; reloading is the reader's business.
  var made = document.querySelector(".verdict .made time");
  if (made && location.protocol !== "file:" && window.fetch) {
    setInterval(function () {
      if (document.hidden) return;
      fetch("status.json").then(function (answer) { return answer.json(); }).then(function (status) {
        if (Date.parse(status.made) - Date.parse(made.getAttribute("datetime")) > 1000 && !document.getElementById("newer")) {
          var link = document.createElement("a");
          link.id = "newer";
          link.href = "";
          link.textContent = " There is a newer one.";
          made.parentNode.appendChild(link);
        }
      }).catch(function () {});
    }, 60000);
  }
})();
